using System.Formats.Asn1;
using System.Text;

namespace Postwright.Core.Tables.Remote.Ldap;

// Search filters as text (RFC 4515) into what goes over the wire (RFC 4511, section 4.5.1.7). The parentheses around a whole
// filter may be left out, as OpenLDAP allows and ldap_table(5)'s default does. Parts of a key come in quoted.

/// <summary>Writes a search filter.</summary>
internal static class LdapFilter
{
    /// <summary>Filters within filters; a real one has three or four levels.</summary>
    private const int MaxDepth = 32;

    /// <summary>Writes <paramref name="text"/>; false when it is no filter.</summary>
    public static bool TryWrite(string text, AsnWriter writer)
    {
        string trimmed = text.Trim();
        int at = 0;
        bool written = trimmed.StartsWith('(') ? Filter(trimmed, ref at, writer, 0) : Item(trimmed, writer);
        return written && (!trimmed.StartsWith('(') || at == trimmed.Length);
    }

    /// <summary>Makes a part of a key safe within a filter (RFC 4515, section 3).</summary>
    public static string Quote(string part)
    {
        var quoted = new StringBuilder(part.Length + 8);
        foreach (char c in part)
        {
            _ = c is '*' or '(' or ')' or '\\' or '\0' ? quoted.Append('\\').Append(((int)c).ToString("x2", null)) : quoted.Append(c);
        }

        return quoted.ToString();
    }

    /// <summary>Makes a part of a key safe within a distinguished name (RFC 4514, section 2.4).</summary>
    public static string QuoteName(string part)
    {
        var quoted = new StringBuilder(part.Length + 8);
        for (int i = 0; i < part.Length; i++)
        {
            char c = part[i];
            bool special = c is '"' or '+' or ',' or ';' or '<' or '>' or '\\' || (i == 0 && c is '#' or ' ') || (i == part.Length - 1 && c == ' ');
            _ = special ? quoted.Append('\\').Append(c) : quoted.Append(c);
        }

        return quoted.ToString();
    }

    private static bool Filter(string text, ref int at, AsnWriter writer, int depth)
    {
        if (depth > MaxDepth || !Skip(text, ref at, '('))
        {
            return false;
        }

        char kind = at < text.Length ? text[at] : '\0';
        if (kind is '&' or '|')
        {
            at++;
            using (writer.PushSetOf(new Asn1Tag(TagClass.ContextSpecific, kind == '&' ? 0 : 1)))
            {
                while (Peek(text, ref at) == '(')
                {
                    if (!Filter(text, ref at, writer, depth + 1))
                    {
                        return false;
                    }
                }
            }

            return Skip(text, ref at, ')');
        }

        if (kind == '!')
        {
            at++;

            // "not" holds a choice, so its tag is one around the filter's own.
            using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 2)))
            {
                return Peek(text, ref at) == '(' && Filter(text, ref at, writer, depth + 1) && Skip(text, ref at, ')');
            }
        }

        int end = text.IndexOf(')', at);
        if (end < 0 || !Item(text[at..end], writer))
        {
            return false;
        }

        at = end + 1;
        return true;
    }

    private static bool Item(string item, AsnWriter writer)
    {
        int equals = item.IndexOf('=', StringComparison.Ordinal);
        if (equals <= 0 || item.AsSpan().ContainsAny('(', ')'))
        {
            return false;
        }

        string name = item[..equals].Trim();
        string value = item[(equals + 1)..];
        int tag = 3;
        if (name.Length > 0 && name[^1] is '>' or '<' or '~' or ':')
        {
            tag = name[^1] switch { '>' => 5, '<' => 6, '~' => 8, _ => 9 };
            name = name[..^1].Trim();
        }

        if (name.Length == 0)
        {
            return false;
        }

        return tag == 9 ? Extensible(name, value, writer)
            : tag == 3 && value == "*" ? Present(name, writer)
            : tag == 3 && value.Contains('*', StringComparison.Ordinal) ? Substrings(name, value, writer)
            : Assertion(tag, name, value, writer);
    }

    private static bool Present(string name, AsnWriter writer)
    {
        writer.WriteOctetString(Encoding.UTF8.GetBytes(name), new Asn1Tag(TagClass.ContextSpecific, 7));
        return true;
    }

    private static bool Assertion(int tag, string name, string value, AsnWriter writer)
    {
        if (Value(value) is not { } bytes)
        {
            return false;
        }

        using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, tag)))
        {
            writer.WriteOctetString(Encoding.UTF8.GetBytes(name));
            writer.WriteOctetString(bytes);
        }

        return true;
    }

    private static bool Substrings(string name, string value, AsnWriter writer)
    {
        string[] parts = value.Split('*');
        using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 4)))
        {
            writer.WriteOctetString(Encoding.UTF8.GetBytes(name));
            using (writer.PushSequence())
            {
                for (int i = 0; i < parts.Length; i++)
                {
                    if (Value(parts[i]) is not { } bytes)
                    {
                        return false;
                    }

                    if (bytes.Length > 0)
                    {
                        writer.WriteOctetString(bytes, new Asn1Tag(TagClass.ContextSpecific, i == 0 ? 0 : i == parts.Length - 1 ? 2 : 1));
                    }
                }
            }
        }

        return true;
    }

    /// <summary><c>name:dn:rule:=value</c>, each part but the value optional.</summary>
    private static bool Extensible(string name, string value, AsnWriter writer)
    {
        if (Value(value) is not { } bytes)
        {
            return false;
        }

        string[] parts = name.Split(':');
        bool isDn = parts.Skip(1).Any(static part => part.Equals("dn", StringComparison.OrdinalIgnoreCase));
        string? rule = parts.Skip(1).FirstOrDefault(static part => !part.Equals("dn", StringComparison.OrdinalIgnoreCase) && part.Length > 0);
        using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 9)))
        {
            if (rule is not null)
            {
                writer.WriteOctetString(Encoding.UTF8.GetBytes(rule), new Asn1Tag(TagClass.ContextSpecific, 1));
            }

            if (parts[0].Length > 0)
            {
                writer.WriteOctetString(Encoding.UTF8.GetBytes(parts[0]), new Asn1Tag(TagClass.ContextSpecific, 2));
            }

            writer.WriteOctetString(bytes, new Asn1Tag(TagClass.ContextSpecific, 3));
            if (isDn)
            {
                writer.WriteBoolean(true, new Asn1Tag(TagClass.ContextSpecific, 4));
            }
        }

        return parts[0].Length > 0 || rule is not null;
    }

    /// <summary>The bytes of a value: <c>\xx</c> is a byte; null when that is malformed.</summary>
    private static byte[]? Value(string text)
    {
        byte[] bytes = TableText.Encode(text);
        if (!bytes.Contains((byte)'\\'))
        {
            return bytes;
        }

        var plain = new List<byte>(bytes.Length);
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != '\\')
            {
                plain.Add(bytes[i]);
            }
            else if (i + 2 < bytes.Length && char.IsAsciiHexDigit((char)bytes[i + 1]) && char.IsAsciiHexDigit((char)bytes[i + 2]))
            {
                plain.Add(Convert.FromHexString([(char)bytes[i + 1], (char)bytes[i + 2]])[0]);
                i += 2;
            }
            else
            {
                return null;
            }
        }

        return [.. plain];
    }

    private static char Peek(string text, ref int at)
    {
        while (at < text.Length && text[at] == ' ')
        {
            at++;
        }

        return at < text.Length ? text[at] : '\0';
    }

    private static bool Skip(string text, ref int at, char expected)
    {
        bool there = Peek(text, ref at) == expected;
        at += there ? 1 : 0;
        return there;
    }
}
