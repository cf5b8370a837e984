using System.Buffers;
using System.Net;
using System.Net.Sockets;

namespace Postwright.Protocol.Smtp;

/// <summary>
/// Syntax of host names and address literals (RFC 1123, 2.1; RFC 5321, 4.1.3) with Postfix's tolerances: an underscore may
/// stand where a letter may, since too many real names have one.
/// </summary>
public static class HostNames
{
    /// <summary>Longest name (RFC 1035, 2.3.4).</summary>
    public const int MaxName = 255;

    /// <summary>Longest label (RFC 1035, 2.3.4).</summary>
    public const int MaxLabel = 63;

    private static readonly SearchValues<char> DigitsAndDots = SearchValues.Create("0123456789.");

    /// <summary>True for a host name: labels of letters, digits, hyphens (not at the ends) and underscores; not all numeric.</summary>
    public static bool IsValid(ReadOnlySpan<char> name)
    {
        if (name.Length is 0 or > MaxName)
        {
            return false;
        }

        int label = 0;
        bool nonNumeric = false;
        for (int i = 0; i < name.Length; i++)
        {
            char c = name[i];
            if (char.IsAsciiLetterOrDigit(c) || c == '_')
            {
                nonNumeric |= !char.IsAsciiDigit(c);
                if (++label > MaxLabel)
                {
                    return false;
                }
            }
            else if (c == '.')
            {
                // An empty label: at the start, doubled, or at the end.
                if (label == 0 || i + 1 == name.Length)
                {
                    return false;
                }

                label = 0;
            }
            else if (c == '-')
            {
                nonNumeric = true;
                if (++label > MaxLabel || label == 1 || i + 1 == name.Length || name[i + 1] == '.')
                {
                    return false;
                }
            }
            else if (c > 127)
            {
                // An internationalised label (RFC 5890); its ASCII form is checked where it is looked up.
                nonNumeric = true;
                label++;
            }
            else
            {
                return false;
            }
        }

        return nonNumeric;
    }

    /// <summary>True for an IPv4 address of four decimal numbers, or an IPv6 address without zone.</summary>
    public static bool IsValidAddress(ReadOnlySpan<char> text, out IPAddress? address)
    {
        address = null;
        if (text.Contains(':'))
        {
            return !text.Contains('%') && !text.Contains('[') && IPAddress.TryParse(text, out address)
                && address.AddressFamily == AddressFamily.InterNetworkV6;
        }

        return text.Count('.') == 3 && text.IndexOfAnyExcept(DigitsAndDots) < 0 && !HasLeadingZero(text)
            && IPAddress.TryParse(text, out address);
    }

    /// <summary>True for the inside of an address literal: <c>192.0.2.1</c> or <c>IPv6:2001:db8::1</c>.</summary>
    public static bool IsValidLiteral(ReadOnlySpan<char> text, out IPAddress? address)
    {
        const string Prefix = "IPv6:";
        if (text.StartsWith(Prefix, StringComparison.OrdinalIgnoreCase))
        {
            return IsValidAddress(text[Prefix.Length..], out address) && address!.AddressFamily == AddressFamily.InterNetworkV6;
        }

        return IsValidAddress(text, out address) && address!.AddressFamily == AddressFamily.InterNetwork;
    }

    // 010.0.0.1 would be octal to some readers and decimal to others.
    private static bool HasLeadingZero(ReadOnlySpan<char> text)
    {
        for (int i = 0; i + 1 < text.Length; i++)
        {
            if (text[i] == '0' && char.IsAsciiDigit(text[i + 1]) && (i == 0 || text[i - 1] == '.'))
            {
                return true;
            }
        }

        return false;
    }
}
