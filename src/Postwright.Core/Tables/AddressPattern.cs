using System.Net;
using System.Net.Sockets;

namespace Postwright.Core.Tables;

// net/mask, [net]/mask and bare addresses, as cidr_table(5) and mynetworks have them. Reasons are Postfix's, for the
// warnings of both. IPAddress.TryParse alone will not do: it takes "1.2", octal and hexadecimal for addresses.

/// <summary>A block of addresses.</summary>
internal readonly struct AddressPattern
{
    private readonly byte[] _net;
    private readonly int _bits;

    private AddressPattern(byte[] net, int bits)
    {
        _net = net;
        _bits = bits;
    }

    /// <summary>The network's bytes.</summary>
    public ReadOnlySpan<byte> Net => _net;

    /// <summary>How many of its bits count.</summary>
    public int Bits => _bits;

    /// <summary>Reads <c>address</c>, <c>[address]</c>, <c>net/bits</c> or <c>[net]/bits</c>; false and a reason otherwise.</summary>
    public static bool TryParse(string text, out AddressPattern pattern, out string error)
    {
        pattern = default;
        string rest = text;
        if (text.StartsWith('['))
        {
            int close = text.IndexOf(']', StringComparison.Ordinal);
            if (close < 0)
            {
                error = $"missing ']' character after \"{text}\"";
                return false;
            }

            if (close + 1 < text.Length && text[close + 1] != '/')
            {
                error = $"garbage after \"{text[..(close + 1)]}\"";
                return false;
            }

            rest = text[1..close] + text[(close + 1)..];
        }

        int slash = rest.IndexOf('/', StringComparison.Ordinal);
        return slash < 0 ? TryParseAddress(rest, out pattern, out error) : TryParseBlock(rest, slash, out pattern, out error);
    }

    /// <summary>An address in strict textual form; null for anything else.</summary>
    public static IPAddress? ParseAddress(string text)
    {
        if (text.Contains(':'))
        {
            return text.AsSpan().ContainsAny('%', '[', '/') || !IPAddress.TryParse(text, out IPAddress? six)
                || six.AddressFamily != AddressFamily.InterNetworkV6 ? null : six;
        }

        string[] parts = text.Split('.');
        Span<byte> bytes = stackalloc byte[4];
        if (parts.Length != 4)
        {
            return null;
        }

        for (int i = 0; i < 4; i++)
        {
            // As inet_pton has it: no leading zeros, which others take for octal.
            if (parts[i].Length is 0 or > 3 || (parts[i].Length > 1 && parts[i][0] == '0') || parts[i].AsSpan().ContainsAnyExceptInRange('0', '9') || !byte.TryParse(parts[i], out bytes[i]))
            {
                return null;
            }
        }

        return new IPAddress(bytes);
    }

    /// <summary>True when <paramref name="address"/> is of the block's kind, IPv4 or IPv6.</summary>
    public bool IsFamilyOf(IPAddress address) =>
        _net.Length == (address.AddressFamily == AddressFamily.InterNetworkV6 ? 16 : 4);

    /// <summary>Is <paramref name="address"/> in the block? Families never match each other.</summary>
    public bool Contains(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        if (!address.TryWriteBytes(bytes, out int length) || length != _net.Length)
        {
            return false;
        }

        int whole = _bits / 8;
        int rest = _bits % 8;
        return bytes[..whole].SequenceEqual(_net.AsSpan(0, whole))
            && (rest == 0 || ((bytes[whole] ^ _net[whole]) >> (8 - rest)) == 0);
    }

    private static bool TryParseAddress(string text, out AddressPattern pattern, out string error)
    {
        IPAddress? address = ParseAddress(text);
        byte[] bytes = address?.GetAddressBytes() ?? [];
        pattern = new AddressPattern(bytes, bytes.Length * 8);
        error = address is null ? $"bad address pattern: \"{text}\"" : "";
        return address is not null;
    }

    private static bool TryParseBlock(string text, int slash, out AddressPattern pattern, out string error)
    {
        pattern = default;
        string mask = text[(slash + 1)..];
        string net = text[..slash];
        if (mask.Length is 0 or > 9 || mask.AsSpan().ContainsAnyExceptInRange('0', '9'))
        {
            error = $"bad mask value in \"{text}\"";
            return false;
        }

        int bits = int.Parse(mask, System.Globalization.CultureInfo.InvariantCulture);
        if (bits > (net.Contains(':', StringComparison.Ordinal) ? 128 : 32))
        {
            error = $"bad mask length in \"{text}\"";
            return false;
        }

        if (ParseAddress(net) is not { } address)
        {
            error = $"bad network value in \"{text}\"";
            return false;
        }

        byte[] bytes = address.GetAddressBytes();
        byte[] masked = Mask(bytes, bits);
        if (!masked.AsSpan().SequenceEqual(bytes))
        {
            error = $"non-null host address bits in \"{text}\", perhaps you should use \"{new IPAddress(masked)}/{bits}\" instead";
            return false;
        }

        pattern = new AddressPattern(bytes, bits);
        error = "";
        return true;
    }

    private static byte[] Mask(byte[] bytes, int bits)
    {
        byte[] masked = [.. bytes];
        for (int i = 0; i < masked.Length; i++)
        {
            int keep = Math.Clamp(bits - (i * 8), 0, 8);
            masked[i] &= (byte)(0xff << (8 - keep));
        }

        return masked;
    }
}
