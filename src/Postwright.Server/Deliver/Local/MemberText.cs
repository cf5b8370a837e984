using System.Text;
using Postwright.Protocol.Mail;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// The right-hand side of an alias, or a line of a .forward or included file (aliases(5)): members separated by commas outside
/// quotes, comments and angle brackets. Pure: text in, members out. Quotes around or inside a command or path are taken off.
/// </summary>
internal static class MemberText
{
    /// <summary>The members' texts: <c>|command</c>, <c>/file</c>, <c>:include:/file</c>, or addresses in internal form.</summary>
    public static IEnumerable<string> Split(string text)
    {
        foreach (string raw in Elements(text))
        {
            string plain = Unquote(raw);
            if (plain.Length > 0 && (plain[0] is '|' or '/' || IsInclude(plain)))
            {
                yield return plain;
            }
            else if (raw.StartsWith('\\'))
            {
                foreach (string address in AddressList.Addresses(raw[1..]))
                {
                    yield return "\\" + address;
                }
            }
            else
            {
                foreach (string address in AddressList.Addresses(raw))
                {
                    yield return address;
                }
            }
        }
    }

    /// <summary>True for <c>:include:</c> in any case.</summary>
    public static bool IsInclude(string text) => text.StartsWith(":include:", StringComparison.OrdinalIgnoreCase);

    private static List<string> Elements(string text)
    {
        var elements = new List<string>();
        int start = 0;
        int comments = 0;
        bool quoted = false, angle = false;
        for (int i = 0; i < text.Length; i++)
        {
            char c = text[i];
            if (c == '\\')
            {
                i++;
            }
            else if (quoted || c == '"')
            {
                quoted = quoted ? c != '"' : comments == 0;
            }
            else if (c is '(' or ')')
            {
                comments = Math.Max(0, comments + (c == '(' ? 1 : -1));
            }
            else if (comments == 0 && c is '<' or '>')
            {
                angle = c == '<';
            }
            else if (c == ',' && comments == 0 && !angle)
            {
                Take(i);
            }
        }

        Take(text.Length);
        return elements;

        void Take(int end)
        {
            string element = text[start..Math.Min(end, text.Length)].Trim();
            start = Math.Min(end + 1, text.Length);
            if (element.Length > 0)
            {
                elements.Add(element);
            }
        }
    }

    private static string Unquote(string element)
    {
        if (!element.Contains('"'))
        {
            return element;
        }

        var text = new StringBuilder(element.Length);
        bool quoted = false;
        for (int i = 0; i < element.Length; i++)
        {
            if (element[i] == '"')
            {
                quoted = !quoted;
            }
            else
            {
                i += quoted && element[i] == '\\' && i + 1 < element.Length ? 1 : 0;
                text.Append(element[i]);
            }
        }

        return text.ToString();
    }
}
