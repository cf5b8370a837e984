using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables.Remote;

namespace Postwright.Core.Tables;

// Opens tables by their configured name, once each: two parameters that name the same table share it. A table that cannot
// be opened is logged as an error and stands in the registry as one that answers "temporary error"; nothing here throws.
//
// Whoever owns the registry alone disposes it, which closes every file. Where a reload makes another registry while sessions
// and deliveries still use this one, each of them holds it from its beginning to its end, and the owner retires it: the files
// are closed at that moment, or when the last of them has let go.

/// <summary>The open tables of one configuration.</summary>
public sealed class TableRegistry : IDisposable
{
    private readonly Dictionary<(string Name, TableSecurity Security), ILookupTable> _tables = [];
    private readonly Lock _lock = new();
    private readonly TableOpener[] _openers;
    private readonly RemoteTables? _remote;
    private int _holders;
    private bool _retired;
    private bool _disposed;

    /// <summary>line_length_limit where it is not set.</summary>
    public const int DefaultLineLengthLimit = 2048;

    /// <summary>A registry without tables.</summary>
    /// <param name="log">Where tables warn.</param>
    /// <param name="time">Says when to look whether a file has changed.</param>
    /// <param name="host">For <c>unix:passwd.byname</c> and <c>unix:group.byname</c>, which are unavailable without.</param>
    /// <param name="chance">For <c>randmap:</c>; the system's when left out.</param>
    /// <param name="remote">For tables on servers, which are unavailable without.</param>
    /// <param name="lineLengthLimit">line_length_limit: the longest text in bytes that regexp tables give to the C library.</param>
    /// <param name="smtpUtf8">smtputf8_enable: without it nothing but ASCII is folded.</param>
    public TableRegistry(
        MailLog log, TimeProvider time, IHost? host = null, IChance? chance = null, RemoteTables? remote = null, int lineLengthLimit = DefaultLineLengthLimit,
        bool smtpUtf8 = true)
    {
        Log = log;
        _remote = remote;
        chance ??= new SystemChance();
        Use = smtpUtf8 ? TableUse.Daemon : TableUse.Daemon | TableUse.AnyBytes;
        _openers = [.. Enum.GetValues<TableSecurity>().Select(security => new TableOpener(log, time, host, chance, Use, lineLengthLimit, security, remote))];
    }

    /// <summary>Where tables warn.</summary>
    public MailLog Log { get; }

    /// <summary>How keys are folded and looked for.</summary>
    internal TableUse Use { get; }

    /// <summary>The table types that can be opened, in alphabetical order; <c>postconf -m</c> prints them.</summary>
    public static IReadOnlyList<string> SupportedTypes => TableOpener.SupportedTypes;

    /// <summary>Every type name that Postfix or we know of, those too that cannot be opened here.</summary>
    internal static IReadOnlySet<string> KnownTypes => TableOpener.KnownTypes;

    /// <summary>The table <c>type:name</c>, opened at the first call and shared afterwards.</summary>
    public ILookupTable Open(string name) => Open(name, TableSecurity.None);

    /// <summary>The table <c>type:name</c>, opened at the first call and shared afterwards.</summary>
    /// <param name="name">As configured.</param>
    /// <param name="security">What depends on its results.</param>
    public ILookupTable Open(string name, TableSecurity security)
    {
        // A table for which it makes no difference is shared with those who do not ask for it.
        security = RemoteTypes.CanBeRefused(name) ? security : TableSecurity.None;
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (!_tables.TryGetValue((name, security), out ILookupTable? table))
            {
                table = _openers[(int)security].Open(name);
                if ((table as IOpenCheck)?.CheckOpen() is { } reason)
                {
                    Log.Error(reason);
                }

                _tables.Add((name, security), table);
            }

            return table;
        }
    }

    /// <summary>Keeps the tables open until <see cref="LetGo"/>. False once they are closed: there are newer ones.</summary>
    public bool TryHold()
    {
        lock (_lock)
        {
            _holders += _disposed ? 0 : 1;
            return !_disposed;
        }
    }

    /// <summary>
    /// What <paramref name="current"/> gives at this moment, with its tables held until their <see cref="LetGo"/>. Closed tables
    /// mean that something newer has taken its place; null when nothing has, or when there is nothing: all of it has ended.
    /// </summary>
    public static T? HoldCurrent<T>(Func<T?> current, Func<T, TableRegistry> tables)
        where T : class
    {
        T? closed = null;
        for (T? now = current(); now is not null && now != closed; now = current())
        {
            if (tables(now).TryHold())
            {
                return now;
            }

            closed = now;
        }

        return null;
    }

    /// <summary>Ends what one <see cref="TryHold"/> began.</summary>
    public void LetGo()
    {
        lock (_lock)
        {
            _holders--;
            if (_holders > 0 || !_retired)
            {
                return;
            }
        }

        Dispose();
    }

    /// <summary>Closes all tables as soon as nobody holds them.</summary>
    public void Retire()
    {
        lock (_lock)
        {
            _retired = true;
            if (_holders > 0)
            {
                return;
            }
        }

        Dispose();
    }

    /// <summary>Closes all tables, whoever holds them.</summary>
    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed)
            {
                return;
            }

            _disposed = true;
            foreach (ILookupTable table in _tables.Values)
            {
                (table as IDisposable)?.Dispose();
            }

            _tables.Clear();
        }

        _remote?.Dispose();
    }
}
