using System.Text;

namespace Postwright.Protocol.Smtp;

/// <summary>The commands of an SMTP server, in the order in which the disconnect line counts them.</summary>
public enum SmtpVerb : byte
{
    /// <summary>HELO (RFC 5321, 4.1.1.1).</summary>
    Helo,

    /// <summary>EHLO (RFC 5321, 4.1.1.1).</summary>
    Ehlo,

    /// <summary>XCLIENT: a trusted proxy tells who the client is.</summary>
    Xclient,

    /// <summary>XFORWARD: a trusted filter tells who the client was, for the log.</summary>
    Xforward,

    /// <summary>STARTTLS (RFC 3207).</summary>
    StartTls,

    /// <summary>AUTH (RFC 4954).</summary>
    Auth,

    /// <summary>MAIL (RFC 5321, 4.1.1.2).</summary>
    Mail,

    /// <summary>RCPT (RFC 5321, 4.1.1.3).</summary>
    Rcpt,

    /// <summary>DATA (RFC 5321, 4.1.1.4).</summary>
    Data,

    /// <summary>BDAT (RFC 3030, 2).</summary>
    Bdat,

    /// <summary>RSET (RFC 5321, 4.1.1.5).</summary>
    Rset,

    /// <summary>NOOP (RFC 5321, 4.1.1.9).</summary>
    Noop,

    /// <summary>VRFY (RFC 5321, 4.1.1.6).</summary>
    Vrfy,

    /// <summary>ETRN (RFC 1985).</summary>
    Etrn,

    /// <summary>QUIT (RFC 5321, 4.1.1.10).</summary>
    Quit,

    /// <summary>HELP (RFC 5321, 4.1.1.8).</summary>
    Help,

    /// <summary>Anything else.</summary>
    Unknown,
}

/// <summary>Names of <see cref="SmtpVerb"/>.</summary>
public static class SmtpVerbs
{
    private static readonly string[] Upper =
    [
        "HELO", "EHLO", "XCLIENT", "XFORWARD", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "BDAT", "RSET", "NOOP", "VRFY", "ETRN",
        "QUIT", "HELP", "UNKNOWN",
    ];

    private static readonly string[] Lower = Array.ConvertAll(Upper, static name => name.ToLowerInvariant());

    /// <summary>The number of verbs, <see cref="SmtpVerb.Unknown"/> included.</summary>
    public const int Count = (int)SmtpVerb.Unknown + 1;

    /// <summary>In capitals: as in replies and in the log.</summary>
    public static string Name(SmtpVerb verb) => Upper[(int)verb];

    /// <summary>In small letters: as in the disconnect line.</summary>
    public static string LowerName(SmtpVerb verb) => Lower[(int)verb];

    /// <summary>Finds a verb by name, in any case; <see cref="SmtpVerb.Unknown"/> if there is none.</summary>
    public static SmtpVerb Parse(ReadOnlySpan<byte> name) => name.Length switch
    {
        4 => ParseFour(name),
        7 when Ascii.EqualsIgnoreCase(name, "XCLIENT"u8) => SmtpVerb.Xclient,
        8 when Ascii.EqualsIgnoreCase(name, "STARTTLS"u8) => SmtpVerb.StartTls,
        8 when Ascii.EqualsIgnoreCase(name, "XFORWARD"u8) => SmtpVerb.Xforward,
        _ => SmtpVerb.Unknown,
    };

    private static SmtpVerb ParseFour(ReadOnlySpan<byte> name)
    {
        // Letters differ from capitals by one bit; anything that is no letter finds no match below either way, except
        // characters that the bit turns into letters, which the second comparison in Check excludes.
        uint packed = System.Buffers.Binary.BinaryPrimitives.ReadUInt32BigEndian(name) & 0xdfdfdfdf;
        SmtpVerb verb = packed switch
        {
            0x48454c4f => SmtpVerb.Helo,
            0x45484c4f => SmtpVerb.Ehlo,
            0x41555448 => SmtpVerb.Auth,
            0x4d41494c => SmtpVerb.Mail,
            0x52435054 => SmtpVerb.Rcpt,
            0x44415441 => SmtpVerb.Data,
            0x42444154 => SmtpVerb.Bdat,
            0x52534554 => SmtpVerb.Rset,
            0x4e4f4f50 => SmtpVerb.Noop,
            0x56524659 => SmtpVerb.Vrfy,
            0x4554524e => SmtpVerb.Etrn,
            0x51554954 => SmtpVerb.Quit,
            0x48454c50 => SmtpVerb.Help,
            _ => SmtpVerb.Unknown,
        };
        return verb != SmtpVerb.Unknown && Ascii.EqualsIgnoreCase(name, Upper[(int)verb]) ? verb : SmtpVerb.Unknown;
    }
}
