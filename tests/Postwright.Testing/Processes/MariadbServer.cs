using Postwright.Testing.Network;

namespace Postwright.Testing.Processes;

/// <summary>A MariaDB server of a test, in a temporary directory, on a free port of 127.0.0.1 and on a unix-domain socket, with a certificate.</summary>
public sealed class MariadbServer : IAsyncDisposable
{
    private MariadbServer(RealServer server, int port)
    {
        Server = server;
        Port = port;
    }

    /// <summary>True where MariaDB is installed.</summary>
    public static bool IsInstalled { get; } = File.Exists("/usr/sbin/mariadbd") && File.Exists("/usr/bin/mariadb-install-db");

    /// <summary>The process.</summary>
    public RealServer Server { get; }

    /// <summary>Its directory, with the certificates.</summary>
    public string Folder => Server.Folder;

    /// <summary>The unix-domain socket.</summary>
    public string Socket => Path.Combine(Folder, "sock");

    /// <summary>The TCP port.</summary>
    public int Port { get; }

    /// <summary>Makes an empty server and leaves it down.</summary>
    public static async Task<MariadbServer> MakeAsync()
    {
        int port = FreePort.Next();
        string folder = await RealServer.MakeFolderAsync("mysql");
        string data = Path.Combine(folder, "data");
        string[] small = ["--innodb-buffer-pool-size=8M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", "--innodb-doublewrite=0", "--aria-pagecache-buffer-size=1M", "--key-buffer-size=1M"];
        await RealServer.RunAsAsync("mysql", "/usr/bin/mariadb-install-db",
            ["--no-defaults", $"--datadir={data}", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve", .. small]);
        TestCertificate.Write(folder);
        string key = await File.ReadAllTextAsync(Path.Combine(folder, "server.key"));
        await RealServer.RunAsAsync("mysql", "/bin/sh", ["-c", $"umask 077; cat >{data}/server.key"], key);
        return new MariadbServer(
            new RealServer(
                folder,
                "mysql",
                "/usr/sbin/mariadbd",
                ["--no-defaults", $"--datadir={data}", $"--socket={folder}/sock", $"--pid-file={folder}/pid", $"--port={port}", "--bind-address=127.0.0.1", "--skip-name-resolve",
                    $"--ssl-cert={folder}/server.pem", $"--ssl-key={data}/server.key", .. small],
                async () => (await CommandRun.RunAsync("/usr/bin/mariadb-admin", ["--no-defaults", $"--socket={folder}/sock", "-uroot", "ping"])).ExitStatus == 0),
            port);
    }

    /// <summary>Runs statements as the superuser.</summary>
    public async Task RunAsync(string sql)
    {
        CommandRun run = await CommandRun.RunAsync("/usr/bin/mariadb", ["--no-defaults", $"--socket={Socket}", "-uroot"], sql);
        if (run.Error.Length > 0)
        {
            throw new InvalidOperationException(run.Error);
        }
    }

    /// <inheritdoc />
    public ValueTask DisposeAsync() => Server.DisposeAsync();
}
