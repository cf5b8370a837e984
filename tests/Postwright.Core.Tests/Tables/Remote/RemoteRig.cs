using Microsoft.Extensions.Time.Testing;
using Postwright.Core.Configuration;
using Postwright.Core.Tables;
using Postwright.Core.Tables.Remote;
using Postwright.Testing;
using Postwright.Testing.Logging;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>Remote tables under a main.cf, in a directory of their own, on a clock that tests move.</summary>
internal sealed class RemoteRig : IDisposable
{
    public RemoteRig(string mainCf = "", TimeProvider? time = null)
    {
        Time = time as FakeTimeProvider ?? new FakeTimeProvider();
        Registry = new TableRegistry(
            Log.For("proxymap"), time ?? Time, chance: new SeededChance(1), remote: new RemoteTables(MailConfiguration.FromText(mainCf)));
    }

    public FakeTimeProvider Time { get; }

    public LogLines Log { get; } = new();

    public TableRegistry Registry { get; }

    /// <summary>A directory for configuration files, sockets and databases.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("postwright-remote-").FullName;

    /// <summary>Writes a table's configuration file and names the table.</summary>
    public string Configure(string type, string settings, string options = "")
    {
        string path = Path.Combine(Folder, $"{type}-{Guid.NewGuid():n}.cf");
        File.WriteAllText(path, settings.ReplaceLineEndings("\n"));
        return $"{type}:{path}{options}";
    }

    /// <summary>The value, <c>-</c> for not found, <c>!</c> for a temporary error.</summary>
    public Task<string> AskAsync(string table, string key) => AskUntilAsync(table, key, CancellationToken.None);

    /// <summary>The same for a caller who may leave.</summary>
    public async Task<string> AskUntilAsync(string table, string key, CancellationToken cancellationToken)
    {
        LookupResult result = await Registry.Open(table).LookupAsync(key, cancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(60), CancellationToken.None);
        return result.Status switch { LookupStatus.Found => result.Value!, LookupStatus.NotFound => "-", _ => "!" };
    }

    /// <summary>A table with these settings defers, and an error in the log says why.</summary>
    public async Task RefusesAsync(string type, string settings, string reason)
    {
        Assert.Equal("!", await AskAsync(Configure(type, settings), "k@d"));
        Assert.Contains(Log.All, line => line.StartsWith("postfix/proxymap: error: ", StringComparison.Ordinal) && line.Contains(reason, StringComparison.Ordinal));
    }

    public void Dispose()
    {
        Registry.Dispose();
        Directory.Delete(Folder, recursive: true);
    }
}
