using Postwright.Core.Tables;

namespace Postwright.Core.Configuration.Check;

/// <summary>A <c>type:name</c> in a value.</summary>
/// <param name="Type">hash, texthash, cidr, ...</param>
/// <param name="Name">What follows the first colon: a path for tables in files.</param>
internal sealed record TableReference(string Type, string Name)
{
    private static readonly HashSet<string> Indexed = new(["hash", "btree"], StringComparer.Ordinal);
    private static readonly HashSet<string> Plain = new(["texthash", "cidr", "regexp", "pcre"], StringComparer.Ordinal);

    /// <summary>True when lookups go to a database made from a text file of the same name.</summary>
    public bool IsIndexed => Indexed.Contains(Type) && Name.StartsWith('/');

    /// <summary>True when the text file itself is read.</summary>
    public bool IsPlain => Plain.Contains(Type) && Name.StartsWith('/');

    /// <summary>True when each line of the text file is a key and a value.</summary>
    public bool HasKeys => IsIndexed || (Type == "texthash" && Name.StartsWith('/'));

    /// <inheritdoc />
    public override string ToString() => $"{Type}:{Name}";

    /// <summary>The tables among the elements of a list; <c>proxy:</c> is looked through.</summary>
    public static IEnumerable<TableReference> In(IEnumerable<string> elements)
    {
        foreach (string element in elements)
        {
            string text = element.TrimStart('!');
            while (text.StartsWith("proxy:", StringComparison.Ordinal))
            {
                text = text["proxy:".Length..];
            }

            int colon = text.IndexOf(':', StringComparison.Ordinal);
            if (colon > 0 && TableRegistry.KnownTypes.Contains(text[..colon])
                && (text[..colon] != "unix" || text.EndsWith(".byname", StringComparison.Ordinal)))
            {
                yield return new TableReference(text[..colon], text[(colon + 1)..]);
            }
        }
    }
}
