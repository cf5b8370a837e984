using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables.Remote;

namespace Postwright.Core.Tables;

// Opens tables by their configured name, once each: two parameters that name the same table share it. A table that cannot
// be opened is logged as an error and stands in the registry as one that answers "temporary error"; nothing here throws.
// Disposing closes every file.

/// <summary>The open tables of one process.</summary>
public sealed class TableRegistry : IDisposable
{
    private readonly Dictionary<(string Name, bool Substitutes), ILookupTable> _tables = [];
    private readonly Lock _lock = new();
    private readonly TableOpener _opener;
    private readonly TableOpener _strictOpener;
    private bool _disposed;

    /// <summary>A registry without tables.</summary>
    /// <param name="log">Where tables warn.</param>
    /// <param name="time">Says when to look whether a file has changed.</param>
    /// <param name="host">For <c>unix:passwd.byname</c> and <c>unix:group.byname</c>, which are unavailable without.</param>
    /// <param name="chance">For <c>randmap:</c>; the system's when left out.</param>
    /// <param name="remote">For tables on servers, which are unavailable without.</param>
    public TableRegistry(MailLog log, TimeProvider time, IHost? host = null, IChance? chance = null, RemoteTables? remote = null)
    {
        Log = log;
        chance ??= new SystemChance();
        _opener = new TableOpener(log, time, host, chance, TableUse.Daemon, allowsSubstitution: true, remote);
        _strictOpener = new TableOpener(log, time, host, chance, TableUse.Daemon, allowsSubstitution: false, remote);
    }

    /// <summary>Where tables warn.</summary>
    public MailLog Log { get; }

    /// <summary>The table types that can be opened, in alphabetical order; <c>postconf -m</c> prints them.</summary>
    public static IReadOnlyList<string> SupportedTypes => TableOpener.SupportedTypes;

    /// <summary>The table <c>type:name</c>, opened at the first call and shared afterwards.</summary>
    public ILookupTable Open(string name) => Open(name, allowSubstitution: true);

    /// <summary>The table <c>type:name</c>, opened at the first call and shared afterwards.</summary>
    /// <param name="name">As configured.</param>
    /// <param name="allowSubstitution">
    /// False for tables whose results are commands, files, users or identities (alias_maps, virtual_uid_maps, ...): rules of
    /// regexp and pcre tables that put a part of the key into the result are refused, since the key is the sender's choice.
    /// </param>
    public ILookupTable Open(string name, bool allowSubstitution)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_tables.TryGetValue((name, allowSubstitution), out ILookupTable? table))
            {
                table = (allowSubstitution ? _opener : _strictOpener).Open(name);
                if ((table as IOpenCheck)?.CheckOpen() is { } reason)
                {
                    Log.Error(reason);
                }

                _tables.Add((name, allowSubstitution), table);
            }

            return table;
        }
    }

    /// <summary>Closes all tables.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            foreach (ILookupTable table in _tables.Values)
            {
                (table as IDisposable)?.Dispose();
            }

            _tables.Clear();
        }
    }
}
