using System.Buffers;
using Postwright.Core.Logging;

namespace Postwright.Server.Route;

// trivial-rewrite(8)'s "rewrite local": addresses come and go in internal form. A local part that would need quotes (blanks,
// brackets, a second @) is no routing instruction and is left alone, as it is inside quotes in Postfix.

/// <summary>Brings addresses into standard form; see <see cref="IAddressRewriter"/>.</summary>
/// <param name="options">The settings.</param>
/// <param name="log">Gets a reminder at each use of an older release's default (<see cref="RewriteOptions.HasFormerDefault"/>); without one there are none.</param>
public sealed class AddressRewriter(RewriteOptions options, MailLog? log = null) : IAddressRewriter
{
    private static readonly SearchValues<char> Specials =
        SearchValues.Create(" \t\"\\()<>,;:[]" + new string([.. Enumerable.Range(0, 32).Select(code => (char)code)]));

    /// <inheritdoc />
    public string Rewrite(string address)
    {
        if (address.Length == 0)
        {
            return address;
        }

        string text = StripSourceRoute(address);
        if (!text.Contains('@') && !NeedsQuotes(text))
        {
            text = SwapOperators(text);
        }

        int at = text.LastIndexOf('@');
        if (at < 0)
        {
            if (!options.AppendAtMyOrigin || options.MyOrigin.Length == 0)
            {
                return text;
            }

            (at, text) = (text.Length, text + "@" + options.MyOrigin);
        }

        return CompleteDomain(text, at);
    }

    /// <summary><c>@site,@site:user@domain</c> becomes <c>user@domain</c> (RFC 5321, F.2).</summary>
    private static string StripSourceRoute(string text)
    {
        if (!text.StartsWith('@'))
        {
            return text;
        }

        int colon = text.IndexOf(':', StringComparison.Ordinal);
        return colon < 0 || colon + 1 == text.Length ? text : text[(colon + 1)..];
    }

    /// <summary><c>site!user</c> and <c>user%site</c>, in this order, become <c>user@site</c>.</summary>
    internal string SwapOperators(string text)
    {
        int bang = options.SwapBangPath ? text.IndexOf('!', StringComparison.Ordinal) : -1;
        if (bang >= 0)
        {
            return text[(bang + 1)..] + "@" + text[..bang];
        }

        int percent = options.AllowPercentHack ? text.LastIndexOf('%') : -1;
        return percent >= 0 ? text[..percent] + "@" + text[(percent + 1)..] : text;
    }

    private string CompleteDomain(string text, int at)
    {
        ReadOnlySpan<char> domain = text.AsSpan(at + 1);
        if (domain.IsEmpty || domain[0] == '[')
        {
            return text;
        }

        if (options.AppendDotMyDomain && options.MyDomain.Length > 0 && !domain.Contains('.'))
        {
            RemindOfMyDomain(domain);
            return text + "." + options.MyDomain;
        }

        // One dot at the end is a fully qualified name; two, or nothing before it, is nonsense that must stay visible.
        return domain.Length > 1 && domain[^1] == '.' && domain[^2] != '.' ? text[..^1] : text;
    }

    private void RemindOfMyDomain(ReadOnlySpan<char> domain)
    {
        if (!options.HasFormerDefault)
        {
            return;
        }

        string advice = domain.Equals("localhost", StringComparison.OrdinalIgnoreCase) ? "; please add \"localhost\" to mydestination or other address class" : "";
        log?.Info($"using backwards-compatible default setting append_dot_mydomain=yes to rewrite \"{domain}\" to \"{domain}.{options.MyDomain}\"{advice}");
    }

    /// <summary>True for a local part that names a site to go on to: <c>site!user</c>, <c>user%site</c>, where these are followed.</summary>
    internal bool IsInstruction(string local) => (options.SwapBangPath && local.Contains('!')) || (options.AllowPercentHack && local.Contains('%'));

    /// <summary>True for a local part that would stand in quotes.</summary>
    internal static bool NeedsQuotes(string local) => local.AsSpan().ContainsAny(Specials);
}

/// <summary>What rewriting needs to know.</summary>
public sealed record RewriteOptions
{
    /// <summary>myorigin.</summary>
    public required string MyOrigin { get; init; }

    /// <summary>mydomain.</summary>
    public required string MyDomain { get; init; }

    /// <summary>append_at_myorigin.</summary>
    public bool AppendAtMyOrigin { get; init; } = true;

    /// <summary>append_dot_mydomain.</summary>
    public bool AppendDotMyDomain { get; init; }

    /// <summary>append_dot_mydomain is what it was before level 1 and not set: each use is logged.</summary>
    public bool HasFormerDefault { get; init; }

    /// <summary>swap_bangpath.</summary>
    public bool SwapBangPath { get; init; } = true;

    /// <summary>allow_percent_hack.</summary>
    public bool AllowPercentHack { get; init; } = true;

    /// <summary>Reads the settings.</summary>
    public static RewriteOptions From(Postwright.Core.Configuration.MailConfiguration configuration) => new()
    {
        MyOrigin = configuration.GetString("myorigin"),
        MyDomain = configuration.GetString("mydomain"),
        AppendAtMyOrigin = configuration.GetBool("append_at_myorigin"),
        AppendDotMyDomain = configuration.GetBool("append_dot_mydomain"),
        HasFormerDefault = configuration.HasFormerDefault("append_dot_mydomain"),
        SwapBangPath = configuration.GetBool("swap_bangpath"),
        AllowPercentHack = configuration.GetBool("allow_percent_hack"),
    };
}
