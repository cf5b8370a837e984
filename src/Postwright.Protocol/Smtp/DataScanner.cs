namespace Postwright.Protocol.Smtp;

/// <summary>What a scanner found in the bytes it was given.</summary>
/// <param name="Start">Where the bytes to keep begin.</param>
/// <param name="Length">How many; 0 if there is nothing to keep.</param>
/// <param name="Consumed">How many bytes were used up; 0 when more are needed.</param>
/// <param name="AddsLineEnd">Write CR LF after the kept bytes: the client ended the line otherwise.</param>
/// <param name="IsEnd">The end of data was reached.</param>
public readonly record struct DataPiece(int Start, int Length, int Consumed, bool AddsLineEnd, bool IsEnd);

/// <summary>
/// Takes a message out of DATA (RFC 5321, 4.5.2) or BDAT (RFC 3030): finds the end, removes stuffed dots, makes every line
/// end CR LF. Bytes in, the longest run that can be kept as it is out; nothing is copied. Input may be cut anywhere.
/// <para>Only CR LF . CR LF ends a strict message. In a lenient one LF ends a line like CR LF, the last included, and
/// several CR before LF are one: what Postfix did before 3.9, unsafe where another server reads the mail differently.</para>
/// </summary>
public struct DataScanner(bool isStrict, bool hasDots)
{
    /// <summary>So many CR before LF are taken for one in a lenient message, and are held back until their LF comes; beyond it they are content.</summary>
    public const int MaxCarriageReturns = 16;

    private bool _inLine;
    private bool _afterBareLineFeed;

    /// <summary>True once an LF without CR was seen.</summary>
    public bool SawBareLineFeed { get; private set; }

    /// <summary>True when the last kept byte did not end a line.</summary>
    public readonly bool IsInLine => _inLine;

    /// <summary>Scans from the beginning of <paramref name="input"/>.</summary>
    /// <param name="input">Not empty.</param>
    /// <param name="isLast">No more will come (the end of a chunk): nothing is held back.</param>
    public DataPiece Next(ReadOnlySpan<byte> input, bool isLast = false)
    {
        int start = 0;
        if (hasDots && !_inLine && input[0] == '.')
        {
            DataPiece? end = AtDot(input, isLast);
            if (end is { } piece)
            {
                return piece;
            }

            start = 1;
            _inLine = true;
        }

        int position = start;
        while (true)
        {
            int found = position < input.Length ? input[position..].IndexOf((byte)'\n') : -1;
            if (found < 0)
            {
                return Unfinished(input, start, position, isLast);
            }

            int lineFeed = position + found;
            bool regular = lineFeed > 0 && lineFeed > start && input[lineFeed - 1] == '\r'
                && (isStrict || lineFeed < 2 || lineFeed - 2 < start || input[lineFeed - 2] != '\r');
            if (!regular)
            {
                return Irregular(input, start, lineFeed);
            }

            _inLine = false;
            _afterBareLineFeed = false;
            position = lineFeed + 1;
            if (position == input.Length || (hasDots && input[position] == '.'))
            {
                return new DataPiece(start, position - start, position, false, false);
            }
        }
    }

    // The line begins with a dot: the end, a stuffed dot (null), or too little to tell.
    private DataPiece? AtDot(ReadOnlySpan<byte> input, bool isLast)
    {
        int position = 1;
        while (position < input.Length && input[position] == '\r' && position <= (isStrict ? 1 : MaxCarriageReturns))
        {
            position++;
        }

        if (position == input.Length)
        {
            return isLast ? null : default(DataPiece);
        }

        if (input[position] != '\n')
        {
            return null;
        }

        bool bare = position == 1;
        SawBareLineFeed |= bare;
        if (!isStrict || (!bare && !_afterBareLineFeed))
        {
            return new DataPiece(0, 0, position + 1, false, true);
        }

        // The shape of an end with a bare LF on one side: the line is dropped, as Postfix does.
        _afterBareLineFeed = bare;
        return new DataPiece(0, 0, position + 1, false, false);
    }

    // An LF alone, or after several CR.
    private DataPiece Irregular(ReadOnlySpan<byte> input, int start, int lineFeed)
    {
        int end = lineFeed;
        while (end > start && input[end - 1] == '\r' && lineFeed - end < MaxCarriageReturns)
        {
            end--;
        }

        bool bare = end == lineFeed;
        SawBareLineFeed |= bare;
        _inLine = false;
        _afterBareLineFeed = bare;
        return new DataPiece(start, end - start, lineFeed + 1, true, false);
    }

    // No LF: keep what is there, but for CRs at the end, which may belong to it.
    private DataPiece Unfinished(ReadOnlySpan<byte> input, int start, int position, bool isLast)
    {
        int end = input.Length;
        if (!isLast)
        {
            int held = 0;
            while (end > position && input[end - 1] == '\r' && held < MaxCarriageReturns)
            {
                end--;
                held++;
            }

            if (end == start && start == 0)
            {
                return default;
            }
        }

        _inLine |= end > position;
        return new DataPiece(start, end - start, end, false, false);
    }
}
