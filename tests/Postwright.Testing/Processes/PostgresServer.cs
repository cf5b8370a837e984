namespace Postwright.Testing.Processes;

/// <summary>A PostgreSQL server of a test, in a temporary directory, on a free port of 127.0.0.1 and on a unix-domain socket in its directory.</summary>
public sealed class PostgresServer : IAsyncDisposable
{
    private PostgresServer(RealServer server, string data, int port)
    {
        Server = server;
        DataDirectory = data;
        Port = port;
    }

    /// <summary>Where PostgreSQL's programs are, or null where it is not installed.</summary>
    public static string? Programs { get; } = Directory.Exists("/usr/lib/postgresql")
        ? Directory.GetDirectories("/usr/lib/postgresql").Select(static version => Path.Combine(version, "bin")).LastOrDefault(static bin => File.Exists(Path.Combine(bin, "initdb")))
        : null;

    /// <summary>The process.</summary>
    public RealServer Server { get; }

    /// <summary>Its directory, with the socket.</summary>
    public string Folder => Server.Folder;

    /// <summary>The cluster's directory below it.</summary>
    public string DataDirectory { get; }

    /// <summary>The TCP port.</summary>
    public int Port { get; }

    /// <summary>Makes a cluster and leaves it down.</summary>
    /// <param name="hostRules">Lines of pg_hba.conf for connections over TCP.</param>
    /// <param name="settings">More settings: <c>ssl=on</c>.</param>
    public static async Task<PostgresServer> MakeAsync(string hostRules, params string[] settings)
    {
        string programs = Programs ?? throw new InvalidOperationException("PostgreSQL is not installed");
        int port = Network.FreePort.Next();
        string folder = await RealServer.MakeFolderAsync("postgres");
        string data = Path.Combine(folder, "data");
        await RealServer.RunAsAsync("postgres", Path.Combine(programs, "initdb"), ["-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8", "--locale=C"]);
        await RealServer.RunAsAsync("postgres", "/bin/sh", ["-c", $"cat >{data}/pg_hba.conf"], $"local all all trust\n{hostRules}\n");
        string[] all = ["listen_addresses=127.0.0.1", "fsync=off", "shared_buffers=4MB", "max_connections=200", .. settings];
        return new PostgresServer(
            new RealServer(
                folder,
                "postgres",
                Path.Combine(programs, "postgres"),
                ["-D", data, "-p", $"{port}", "-k", folder, .. all.SelectMany(static setting => (string[])["-c", setting])],
                async () => (await CommandRun.RunAsync(Path.Combine(programs, "pg_isready"), ["-h", folder, "-p", $"{port}"])).ExitStatus == 0),
            data,
            port);
    }

    /// <summary>Runs statements as the superuser.</summary>
    public async Task RunAsync(string sql)
    {
        CommandRun run = await CommandRun.RunAsync(Path.Combine(Programs!, "psql"), ["-h", Folder, "-p", $"{Port}", "-U", "postgres", "-q", "postgres"], sql);
        if (run.ExitStatus != 0 || run.Error.Contains("ERROR", StringComparison.Ordinal))
        {
            throw new InvalidOperationException(run.Error);
        }
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
