using Postwright.Core.Logging;

namespace Postwright.Core.Tables.Remote;

/// <summary>
/// A table on a server, in a process that must not talk to servers: another process is asked, which has the table open. What it
/// says is trusted no more than what the server says.
/// </summary>
/// <param name="name">As configured, with the type and the options.</param>
/// <param name="ask">Puts a name and a key to the other process, and waits; whatever goes wrong is a temporary error, logged there.</param>
/// <param name="log">Where odd keys are told of.</param>
internal sealed class ServedTable(string name, Func<string, string, LookupResult> ask, MailLog log) : ILookupTable
{
    public string Name { get; } = name;

    public bool MatchesWholeKeysOnly => false;

    public bool IsRemote => true;

    public ValueTask<LookupResult> LookupAsync(string key, CancellationToken cancellationToken) =>
        new(RemoteTable.CanExist(Name, key, log) ? ask(Name, key) : LookupResult.NotFound);
}
