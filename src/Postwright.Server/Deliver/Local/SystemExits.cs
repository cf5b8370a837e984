using System.Buffers;

namespace Postwright.Server.Deliver.Local;

/// <summary>The exit codes of sysexits.h, as Postfix words them, and status codes in a command's output.</summary>
internal static class SystemExits
{
    private static readonly SearchValues<char> CodeCharacters = SearchValues.Create("0123456789.");

    /// <summary>The status code for an exit code, and its words; no words for one without a meaning.</summary>
    public static (string Dsn, string? Words) Explain(int code) => code switch
    {
        64 => ("5.3.0", "command line usage error"),
        65 => ("5.6.0", "data format error"),
        66 => ("5.3.0", "cannot open input"),
        67 => ("5.1.1", "user unknown"),
        68 => ("5.1.2", "host name unknown"),
        69 => ("5.3.0", "service unavailable"),
        70 => ("5.3.0", "internal software error"),
        71 => ("4.3.0", "system resource problem"),
        72 => ("5.3.0", "critical OS file missing"),
        73 => ("5.2.0", "can't create user output file"),
        74 => ("5.3.0", "input/output error"),
        75 => ("4.3.0", "temporary failure"),
        76 => ("5.5.0", "remote error in protocol"),
        77 => ("5.7.0", "permission denied"),
        78 => ("5.3.5", "local configuration error"),
        _ => ("5.3.0", null),
    };

    /// <summary>The code of RFC 3463 at the front of a text, a class of 2, 4 or 5; null if there is none.</summary>
    public static string? LeadingDsn(string text)
    {
        int end = text.AsSpan().IndexOfAnyExcept(CodeCharacters);
        string code = end < 0 ? text : text[..end];
        string[] parts = code.Split('.');
        return parts is [['2' or '4' or '5'], { Length: >= 1 and <= 3 }, { Length: >= 1 and <= 3 }] && (end < 0 || char.IsWhiteSpace(text[end]))
            ? code
            : null;
    }
}
