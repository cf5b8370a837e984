using System.Collections.Frozen;

namespace Postwright.Core.Tables.Remote.Sql;

// Our text is UTF-8, and is quoted as ASCII is quoted. A server that is told to read it in another character set must find each
// quote and backslash where we see it: that holds where every byte of a character of several bytes is 0x80 or more. In GBK,
// Big5, Shift JIS and their like a byte below 0x80 can end such a character, and our quoting with it.

/// <summary>The character sets in which quoted UTF-8 text stays quoted.</summary>
internal static class SqlCharacterSets
{
    private static readonly FrozenSet<string> Mysql = FrozenSet.ToFrozenSet(
        [
            "armscii8", "ascii", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850", "cp852", "cp866", "dec8", "eucjpms", "gb2312",
            "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2", "latin5", "latin7", "macce", "macroman",
            "tis620", "ujis", "utf8", "utf8mb3", "utf8mb4",
        ],
        StringComparer.OrdinalIgnoreCase);

    /// <summary>PostgreSQL's names and other names, as it compares them: letters and digits alone count.</summary>
    private static readonly FrozenSet<string> Pgsql = FrozenSet.ToFrozenSet(
        [
            "abc", "alt", "euccn", "eucjis2004", "eucjp", "euckr", "euctw", "iso88591", "iso885910", "iso885913", "iso885914", "iso885915",
            "iso885916", "iso88592", "iso88593", "iso88594", "iso88595", "iso88596", "iso88597", "iso88598", "iso88599", "koi8", "koi8r",
            "koi8u", "latin1", "latin10", "latin2", "latin3", "latin4", "latin5", "latin6", "latin7", "latin8", "latin9",
            "muleinternal", "sqlascii", "tcvn", "tcvn5712", "unicode", "utf8", "vscii", "win", "win1250", "win1251", "win1252", "win1253",
            "win1254", "win1255", "win1256", "win1257", "win1258", "win866", "win874", "windows1250", "windows1251", "windows1252",
            "windows1253", "windows1254", "windows1255", "windows1256", "windows1257", "windows1258", "windows866", "windows874",
        ],
        StringComparer.OrdinalIgnoreCase);

    /// <summary>The value of <c>charset</c>.</summary>
    /// <exception cref="RemoteConfigurationException">Quoted text might be misread in it, or it is not known.</exception>
    public static string ForMysql(TableConfigurationFile settings)
    {
        string name = settings.Get("charset", "utf8mb4");
        return Mysql.Contains(name) ? name : throw Refused(settings, "charset", name, "utf8mb4");
    }

    /// <summary>The value of <c>encoding</c>.</summary>
    /// <exception cref="RemoteConfigurationException">Quoted text might be misread in it, or it is not known.</exception>
    public static string ForPgsql(TableConfigurationFile settings)
    {
        string name = settings.Get("encoding", "UTF8");
        return IsSafeForPgsql(name) ? name : throw Refused(settings, "encoding", name, "UTF8");
    }

    /// <summary>True for an encoding of PostgreSQL in which quoted text stays quoted.</summary>
    public static bool IsSafeForPgsql(string name) => Pgsql.Contains(string.Concat(name.Where(char.IsAsciiLetterOrDigit)));

    private static RemoteConfigurationException Refused(TableConfigurationFile settings, string parameter, string name, string remedy) =>
        settings.Wrong(parameter, $"= {name} is refused: a quote could be read as a part of a character; use {remedy}, and let the server convert");
}
