namespace Postwright.Core.Configuration.Bounce;

/// <summary>
/// A template of bounce(5). Its text is kept byte by byte, a character each, since only <see cref="Charset"/> says what the
/// bytes mean.
/// </summary>
public sealed record BounceTemplate
{
    /// <summary>Where the built-in ones come from, as messages call it.</summary>
    public const string BuiltInOrigin = "[built-in]";

    /// <summary>failure, delay, success or verify.</summary>
    public required string Name { get; init; }

    /// <summary>The file, for messages.</summary>
    public string Origin { get; init; } = BuiltInOrigin;

    /// <summary>The character set of the text.</summary>
    public string Charset { get; init; } = "us-ascii";

    /// <summary>From:, local names not completed.</summary>
    public string From { get; init; } = "Mail Delivery System <MAILER-DAEMON>";

    /// <summary>Subject: of the sender's notice.</summary>
    public required string Subject { get; init; }

    /// <summary>Subject: of postmaster's copy; null where there is none.</summary>
    public string? PostmasterSubject { get; init; }

    /// <summary>The text's lines, names not expanded.</summary>
    public required IReadOnlyList<string> Lines { get; init; }

    /// <summary>As <c>postconf -t</c> shows it, lines ended by LF.</summary>
    public string Dump()
    {
        string postmaster = PostmasterSubject is null ? "" : $"Postmaster-Subject: {PostmasterSubject}\n";
        return $"{Name}_template = <<EOF\nCharset: {Charset}\nFrom: {From}\nSubject: {Subject}\n{postmaster}\n{string.Concat(Lines.Select(line => line + "\n"))}EOF\n";
    }
}
