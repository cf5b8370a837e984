using System.Text;

namespace Postwright.Protocol.Mail;

/// <summary>An address found in a text.</summary>
/// <param name="Start">Where its address specification begins in the text.</param>
/// <param name="Length">Length of the specification, brackets excluded.</param>
/// <param name="Address">In internal form, source route removed.</param>
public readonly record struct ParsedAddress(int Start, int Length, string Address);

/// <summary>
/// Finds addresses in the syntax of RFC 5322, 3.4 with the tolerance of RFC 822 readers: phrases, comments, groups, source
/// routes (<c>&lt;@a,@b:user@c&gt;</c>, which go), white space around dots and <c>@</c>, and text that ends inside quotes.
/// Used for header lists and, with its counts, for the paths of MAIL and RCPT. Linear in the text; nesting needs no stack.
/// </summary>
public sealed class AddressParser
{
    private readonly string _text;
    private readonly List<ParsedAddress> _addresses = [];
    private readonly StringBuilder _current = new();
    private int _position;
    private int _start = -1;
    private int _end;
    private bool _lastWasWord;

    private AddressParser(string text) => _text = text;

    /// <summary>The addresses, in order.</summary>
    public IReadOnlyList<ParsedAddress> Addresses => _addresses;

    /// <summary>Words that belong to no address: phrases and comments.</summary>
    public int OtherWords { get; private set; }

    /// <summary>Parses a text: a header's value, or one path.</summary>
    public static AddressParser Parse(string text)
    {
        AddressParser parser = new(text);
        parser.Run();
        return parser;
    }

    private void Run()
    {
        bool inBrackets = false;
        int words = 0;
        while (_position < _text.Length)
        {
            char c = _text[_position];
            switch (c)
            {
                case '(':
                    SkipComment();
                    OtherWords++;
                    break;
                case '<' when !inBrackets:
                    // What stood before is a phrase.
                    OtherWords += words;
                    Reset();
                    words = 0;
                    inBrackets = true;
                    _position++;
                    _start = _end = _position;
                    break;
                case '>' when inBrackets:
                    _position++;
                    End(emptyCounts: true);
                    inBrackets = false;
                    words = SkipPhraseAfterBracket();
                    OtherWords += words;
                    words = 0;
                    break;
                case ',' when !inBrackets:
                case ';' when !inBrackets:
                    End(emptyCounts: false);
                    words = 0;
                    _position++;
                    break;
                case ',' when _current.Length > 0 && _current[0] == '@':
                    // Between the hosts of a source route.
                    Append(1, isWord: false);
                    break;
                case ':' when inBrackets && _current.Length > 0 && _current[0] == '@':
                    _position++;
                    Reset();
                    _start = _end = _position;
                    break;
                case ':' when !inBrackets:
                    // A group's name.
                    OtherWords += words;
                    words = 0;
                    Reset();
                    _position++;
                    break;
                case '"':
                    AppendQuoted('"', keepQuotes: false);
                    words++;
                    break;
                case '[':
                    AppendQuoted(']', keepQuotes: true);
                    words++;
                    break;
                case ' ' or '\t' or '\r' or '\n':
                    _position++;
                    break;
                case '@' or '.' or ',' or ':' or ';' or '<' or '>' or ')' or ']':
                    Append(1, isWord: false);
                    break;
                default:
                    AppendAtom();
                    words++;
                    break;
            }
        }

        End(emptyCounts: false);
    }

    private int SkipPhraseAfterBracket()
    {
        int words = 0;
        while (_position < _text.Length && _text[_position] is not (',' or ';'))
        {
            char c = _text[_position];
            if (c == '(')
            {
                SkipComment();
                words++;
            }
            else if (c == '<')
            {
                return words;
            }
            else
            {
                words += char.IsWhiteSpace(c) ? 0 : 1;
                _position++;
            }
        }

        return words;
    }

    private void End(bool emptyCounts)
    {
        if (_current.Length > 0 || (emptyCounts && _start >= 0))
        {
            _addresses.Add(new ParsedAddress(_start, _end - _start, _current.ToString()));
        }

        Reset();
    }

    private void Reset()
    {
        _current.Clear();
        _start = -1;
        _lastWasWord = false;
    }

    private void Begin(bool isWord)
    {
        if (_start < 0)
        {
            _start = _position;
        }

        if (isWord && _lastWasWord)
        {
            // Two words with nothing between: one local part with a blank in it.
            _current.Append(' ');
        }

        _lastWasWord = isWord;
    }

    private void Append(int count, bool isWord)
    {
        Begin(isWord);
        _current.Append(_text, _position, count);
        _position += count;
        _end = _position;
    }

    private void AppendAtom()
    {
        Begin(isWord: true);
        while (_position < _text.Length && !IsSpecial(_text[_position]))
        {
            if (_text[_position] == '\\' && _position + 1 < _text.Length)
            {
                _position++;
            }

            _current.Append(_text[_position++]);
        }

        _end = _position;
    }

    private void AppendQuoted(char closing, bool keepQuotes)
    {
        Begin(isWord: true);
        if (keepQuotes)
        {
            _current.Append(_text[_position]);
        }

        _position++;
        while (_position < _text.Length && _text[_position] != closing)
        {
            if (_text[_position] == '\\' && _position + 1 < _text.Length)
            {
                _position++;
            }

            _current.Append(_text[_position++]);
        }

        if (keepQuotes)
        {
            _current.Append(closing);
        }

        _position = Math.Min(_position + 1, _text.Length);
        _end = _position;
    }

    private void SkipComment()
    {
        int depth = 0;
        while (_position < _text.Length)
        {
            char c = _text[_position++];
            if (c == '\\')
            {
                _position = Math.Min(_position + 1, _text.Length);
            }
            else if (c == '(')
            {
                depth++;
            }
            else if (c == ')' && --depth == 0)
            {
                return;
            }
        }
    }

    private static bool IsSpecial(char c) => c is '(' or ')' or '<' or '>' or '@' or ',' or ';' or ':' or '"' or '.' or '[' or ']' or ' ' or '\t' or '\r' or '\n';
}
