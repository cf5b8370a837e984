using System.Collections.Frozen;
using Postwright.Core.Logging;
using Postwright.Core.Seams;
using Postwright.Core.Tables.Indexed;
using Postwright.Core.Tables.Patterns;
using Postwright.Core.Tables.Remote;

namespace Postwright.Core.Tables;

/// <summary>How keys are treated by a table that is opened.</summary>
[Flags]
internal enum TableUse
{
    /// <summary>Keys as they come (<c>postmap -f</c>).</summary>
    None = 0,

    /// <summary>Keys of tables with fixed strings are folded to lower case.</summary>
    Fold = 1,

    /// <summary>Keys are tried without a NUL at the end.</summary>
    TryWithoutNul = 2,

    /// <summary>Keys are tried with a NUL at the end.</summary>
    TryWithNul = 4,

    /// <summary>Values in a source are names of files, whose content in base64 is the value (<c>postmap -F</c>).</summary>
    ValuesAreFiles = 8,

    /// <summary>What is not UTF-8 is as good as anything, and nothing but ASCII is folded (<c>postmap -u</c>, and smtputf8_enable = no).</summary>
    AnyBytes = 16,

    /// <summary>What daemons do.</summary>
    Daemon = Fold | TryWithoutNul | TryWithNul,
}

// The one place that knows which type name makes which table. A malformed or unknown name gives an UnavailableTable
// with Postfix's reason, which daemons log and tools end with.

/// <summary>Makes tables from <c>type:name</c>.</summary>
internal sealed class TableOpener(
    MailLog log, TimeProvider time, IHost? host, IChance chance, TableUse use, int lineLengthLimit, TableSecurity security = TableSecurity.None, RemoteTables? remote = null)
{
    private static readonly SortedDictionary<string, Func<TableOpener, string, string, ILookupTable>> Types = new(StringComparer.Ordinal)
    {
        ["btree"] = (opener, name, rest) => new IndexedTable(IndexKind.Btree, name, rest, opener),
        ["cdb"] = (opener, name, rest) => new IndexedTable(IndexKind.Cdb, name, rest, opener),
        ["cidr"] = CidrTable.Open,
        ["debug"] = DebugTable.Open,
        ["environ"] = (opener, name, _) => new EnvironmentTable(name, opener.Use),
        ["fail"] = (_, name, _) => new FailTable(name),
        ["hash"] = (opener, name, rest) => new IndexedTable(IndexKind.Hash, name, rest, opener),
        ["inline"] = (opener, name, rest) =>
            MemoryTable.ParseInline(name, rest, opener.Use, out string? error) as ILookupTable ?? opener.Unavailable(name, error!),
        ["internal"] = (_, name, _) => new InternalTable(name),
        ["lmdb"] = (opener, name, rest) => new IndexedTable(IndexKind.Lmdb, name, rest, opener),
        ["static"] = (opener, name, rest) => opener.OpenStatic(name, rest),
        ["pcre"] = (opener, name, rest) => PatternTable.Open(new PcreEngine(), opener, name, rest),
        ["pipemap"] = (opener, name, rest) => CombinedTable.Open(opener, name, rest, union: false),
        ["proxy"] = (opener, name, rest) => opener.Open(rest),
        ["randmap"] = RandomTable.Open,
        ["regexp"] = (opener, name, rest) => PatternTable.Open(new RegexpEngine(opener.LineLengthLimit), opener, name, rest),
        ["texthash"] = (opener, name, rest) => new TextHashTable(name, rest, opener),
        ["unionmap"] = (opener, name, rest) => CombinedTable.Open(opener, name, rest, union: true),
        ["unix"] = UnixTable.Open,
    };

    /// <summary>Postfix's types that are none of ours: whoever names one is told what there is.</summary>
    private static readonly string[] NotYet =
    [
        "nis", "nisplus",
    ];

    /// <summary>Types that Postfix has on other systems.</summary>
    private static readonly string[] Elsewhere = ["dbm", "sdbm"];

    public static IReadOnlySet<string> KnownTypes { get; } =
        Types.Keys.Concat(RemoteTypes.Names).Concat(NotYet).Concat(Elsewhere).ToFrozenSet(StringComparer.Ordinal);

    public static IReadOnlyList<string> SupportedTypes => [.. Types.Keys.Concat(RemoteTypes.Names).Order(StringComparer.Ordinal)];

    public MailLog Log => log;

    public TimeProvider Time => time;

    public IHost? Host => host;

    public IChance Chance => chance;

    public TableUse Use => use;

    /// <summary>What depends on the results.</summary>
    public TableSecurity Security => security;

    /// <summary>line_length_limit in bytes.</summary>
    public int LineLengthLimit => lineLengthLimit;

    public bool Folds => (use & TableUse.Fold) != 0;

    /// <summary>True if values in a source are names of files.</summary>
    public bool ValuesAreFiles => (use & TableUse.ValuesAreFiles) != 0;

    /// <summary>The value that <paramref name="text"/> in a source stands for: itself, or what its files hold; null and a reason when they cannot be read.</summary>
    public string? ValueOf(string text, out string? error)
    {
        error = null;
        return ValuesAreFiles ? FileValues.Encode(text, out error) : text;
    }

    /// <summary>Opens <paramref name="name"/>; never throws.</summary>
    public ILookupTable Open(string name)
    {
        int colon = name.IndexOf(':', StringComparison.Ordinal);
        if (colon <= 0 || colon + 1 == name.Length)
        {
            return Unavailable(name, $"open dictionary: expecting \"type:name\" form instead of \"{name}\"");
        }

        string type = name[..colon];
        string rest = name[(colon + 1)..];
        if (RemoteTypes.Names.Contains(type))
        {
            return remote?.Open(this, name, type, rest) ?? Unavailable(name, $"{name}: tables on servers cannot be used here");
        }

        return Types.TryGetValue(type, out Func<TableOpener, string, string, ILookupTable>? open)
            ? open(this, name, rest)
            : Unavailable(name, NotYet.Contains(type)
                ? $"unsupported dictionary type: {type} (supported: {string.Join(' ', SupportedTypes)})"
                : $"unsupported dictionary type: {type}");
    }

    public UnavailableTable Unavailable(string name, string reason) => new(name, reason, log);

    private ILookupTable OpenStatic(string name, string rest)
    {
        string? error = null;
        string? value = rest.StartsWith('{') ? BraceList.Unwrap(rest, out error) : rest;
        if (value is null)
        {
            return Unavailable(name, $"bad static:name syntax: {error}");
        }

        value = ValueOf(value, out error);
        return value is null ? Unavailable(name, error!) : new StaticTable(name, value);
    }
}
