using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>
/// A header's list of addresses (RFC 5322, 3.4), read as leniently as Postfix reads it: nothing is thrown away, missing
/// commas are added, <c>word word &lt;address&gt;</c>, groups, comments and the old operators <c>% ! |</c> are known. Reading
/// goes from right to left, since an address is known by what follows it. Any input gives a list; none is an error.
/// <para>Texts may be Unicode, or bytes held as Latin-1: no character above DEL has a meaning here. The number of
/// tokens is bounded by the caller (header_address_token_limit), so that a hostile header costs little.</para>
/// </summary>
public static class AddressList
{
    /// <summary>Postfix's header_address_token_limit.</summary>
    public const int DefaultTokenLimit = 10_240;

    /// <summary>Reads <paramref name="text"/> into top-level tokens, addresses grouped.</summary>
    /// <param name="text">The list, without the header's name; may be folded.</param>
    /// <param name="tokenLimit">What is beyond so many tokens is not read; 0 for no limit.</param>
    public static IReadOnlyList<AddressToken> Parse(string text, int tokenLimit = DefaultTokenLimit)
    {
        var reader = new Reader(AddressScanner.Scan(text, tokenLimit));
        return reader.Read();
    }

    /// <summary>The addresses of a list in internal (unquoted) form, in order, those inside groups included.</summary>
    public static IReadOnlyList<string> Addresses(string text, int tokenLimit = DefaultTokenLimit)
    {
        var addresses = new List<string>();
        foreach (AddressToken token in Parse(text, tokenLimit))
        {
            if (token.Kind == AddressTokenKind.Address)
            {
                addresses.Add(Internalize(token.Parts));
            }
        }

        return addresses;
    }

    /// <summary>Tokens as text without quoting; for the parts of one address this is the address as envelopes hold it.</summary>
    public static string Internalize(IReadOnlyList<AddressToken> tokens)
    {
        var text = new StringBuilder();
        AppendInternal(text, tokens, topLevel: tokens.Any(static t => t.Kind == AddressTokenKind.Address));
        return text.ToString();
    }

    /// <summary>Tokens as they stand in a header: quoted where needed.</summary>
    /// <param name="tokens">A whole list, as <see cref="Parse"/> gives it.</param>
    /// <param name="breakLines">End a line after each comma instead of a blank.</param>
    public static string Externalize(IReadOnlyList<AddressToken> tokens, bool breakLines = false)
    {
        var text = new StringBuilder();
        for (int i = 0; i < tokens.Count; i++)
        {
            AddressToken token = tokens[i];
            switch (token.Kind)
            {
                case AddressTokenKind.Address:
                    text.Append(AddressText.ToExternal(Internalize(token.Parts)));
                    break;
                case AddressTokenKind.QuotedString:
                    AddressText.AppendEscaped(text.Append('"'), token.Text, "\"\\\r\n").Append('"');
                    break;
                case AddressTokenKind.DomainLiteral:
                    AddressText.AppendEscaped(text.Append('['), token.Text, "\\\r\n").Append(']');
                    break;
                default:
                    AppendPlain(text, token);
                    break;
            }

            if (breakLines && token.Is(','))
            {
                text.Append('\n');
            }
            else if (NeedsSpaceAfter(tokens, i))
            {
                text.Append(' ');
            }
        }

        return text.ToString();
    }

    private static void AppendInternal(StringBuilder text, IReadOnlyList<AddressToken> tokens, bool topLevel)
    {
        for (int i = 0; i < tokens.Count; i++)
        {
            AddressToken token = tokens[i];
            if (token.Kind == AddressTokenKind.Address)
            {
                AppendInternal(text, token.Parts, topLevel: false);
            }
            else
            {
                AppendPlain(text, token);
            }

            if (topLevel && NeedsSpaceAfter(tokens, i))
            {
                text.Append(' ');
            }
        }
    }

    private static void AppendPlain(StringBuilder text, AddressToken token)
    {
        switch (token.Kind)
        {
            case AddressTokenKind.DomainLiteral:
                text.Append('[').Append(token.Text).Append(']');
                break;
            case AddressTokenKind.GroupStart:
                text.Append(':');
                break;
            default:
                text.Append(token.Text);
                break;
        }
    }

    private static bool NeedsSpaceAfter(IReadOnlyList<AddressToken> tokens, int index)
    {
        if (index + 1 >= tokens.Count)
        {
            return false;
        }

        AddressToken token = tokens[index];
        AddressToken next = tokens[index + 1];
        return token.Is(',') || token.Kind == AddressTokenKind.GroupStart || next.Is('<')
            || (token.Kind is not (AddressTokenKind.Operator or AddressTokenKind.GroupStart)
                && next.Kind is not (AddressTokenKind.Operator or AddressTokenKind.GroupStart));
    }

    /// <summary>The reading from right to left. <c>_done</c> and <c>_pending</c> are both in reverse order.</summary>
    private sealed class Reader(IReadOnlyList<AddressToken> tokens)
    {
        private readonly List<AddressToken> _done = [];
        private readonly List<AddressToken> _pending = [];
        private int _position = tokens.Count - 1;

        public List<AddressToken> Read()
        {
            bool wordMayFollow = true;
            bool inGroup = false;
            while (_position >= 0)
            {
                AddressToken token = tokens[_position];
                if (token.Kind == AddressTokenKind.Comment)
                {
                    _done.Add(token);
                }
                else if (token.Is(';'))
                {
                    EndAddress(addComma: true);
                    _done.Add(token);
                    inGroup = true;
                    wordMayFollow = true;
                }
                else if (token.Is(':') && inGroup)
                {
                    ReadGroupName();
                    continue;
                }
                else if (token.Is('>'))
                {
                    ReadRoute(token);
                    wordMayFollow = true;
                    continue;
                }
                else if (token.Is(','))
                {
                    EndAddress(addComma: false);
                    _done.Add(token);
                    wordMayFollow = true;
                }
                else
                {
                    if (token.IsWord && !wordMayFollow)
                    {
                        // Two words without an operator between them are two addresses.
                        EndAddress(addComma: true);
                    }

                    wordMayFollow = !token.IsWord;
                    _pending.Add(token);
                }

                _position--;
            }

            EndAddress(addComma: false);
            _done.Reverse();
            return _done;
        }

        /// <summary><c>name name:</c> of a group; the words of its name are no address.</summary>
        private void ReadGroupName()
        {
            EndAddress(addComma: false);
            _done.Add(new AddressToken(AddressTokenKind.GroupStart, ""));
            for (_position--; _position >= 0 && !tokens[_position].Is(','); _position--)
            {
                _done.Add(tokens[_position]);
            }
        }

        /// <summary><c>phrase &lt;address&gt;</c>: what is in the brackets is the address, the phrase before them none.</summary>
        private void ReadRoute(AddressToken close)
        {
            EndAddress(addComma: true);
            _done.Add(close);
            for (_position--; _position >= 0 && !tokens[_position].Is('<'); _position--)
            {
                (tokens[_position].Kind == AddressTokenKind.Comment ? _done : _pending).Add(tokens[_position]);
            }

            EndAddress(addComma: false);
            for (; _position >= 0; _position--)
            {
                AddressToken token = tokens[_position];
                if (token.Is('>') || token.Is(';') || token.Is(',') || token.Is(':'))
                {
                    return;
                }

                _done.Add(token);
            }
        }

        private void EndAddress(bool addComma)
        {
            if (_pending.Count == 0)
            {
                return;
            }

            AddressToken[] parts = [.. _pending];
            Array.Reverse(parts);
            _pending.Clear();
            _done.Add(new AddressToken(AddressTokenKind.Address, "", parts));
            if (addComma)
            {
                _done.Add(new AddressToken(AddressTokenKind.Operator, ","));
            }
        }
    }
}
