namespace Postwright.Server.Deliver.Smtp;

/// <summary>How a conversation with a server can end without an answer.</summary>
internal enum ConversationStatus
{
    /// <summary>The server answered.</summary>
    Answered,

    /// <summary>The connection broke or ended.</summary>
    LostConnection,

    /// <summary>The stage's time-out passed.</summary>
    TimedOut,

    /// <summary>What the server said is no SMTP reply.</summary>
    Malformed,
}

/// <summary>A server's reply, or why there is none.</summary>
/// <param name="Status">Whether there is one.</param>
/// <param name="Code">Three digits.</param>
/// <param name="Text">All lines with their codes, joined by line feeds.</param>
internal readonly record struct ServerReply(ConversationStatus Status, int Code, string Text)
{
    public static ServerReply Lost { get; } = new(ConversationStatus.LostConnection, 0, "");

    public static ServerReply TimedOut { get; } = new(ConversationStatus.TimedOut, 0, "");

    public static ServerReply Malformed { get; } = new(ConversationStatus.Malformed, 0, "");

    /// <summary>On one line, as logs and notices quote it: the first of a long one, since it is kept for each recipient while mail waits.</summary>
    public string Quoted => BoundedText.Cut(Text, BoundedText.MostOfReply).Replace('\n', ' ');

    /// <summary>True for an answer of the class 2yz.</summary>
    public bool IsPositive => Status == ConversationStatus.Answered && Code / 100 == 2;

    /// <summary>True for 5yz, which is final; everything else that is no success may work later.</summary>
    public bool IsPermanent => Status == ConversationStatus.Answered && Code / 100 == 5;

    /// <summary>
    /// The enhanced status code: the server's own if it agrees with the reply's class, else class.0.0 (RFC 3463).
    /// A class other than 2, 4, 5 is no final answer and counts as 4.
    /// </summary>
    public string Dsn
    {
        get
        {
            char kind = Code / 100 is 2 or 4 or 5 ? (char)('0' + (Code / 100)) : '4';
            ReadOnlySpan<char> rest = Text.Length > 4 ? Text.AsSpan(4) : [];
            int end = rest.IndexOf(' ');
            ReadOnlySpan<char> word = end < 0 ? rest : rest[..end];
            return word.Length > 0 && word[0] == kind && IsEnhancedCode(word) ? word.ToString() : $"{kind}.0.0";
        }
    }

    private static bool IsEnhancedCode(ReadOnlySpan<char> word)
    {
        int dots = 0;
        int digits = 0;
        foreach (char c in word)
        {
            if (c == '.')
            {
                if (digits is 0 or > 3)
                {
                    return false;
                }

                dots++;
                digits = 0;
            }
            else if (char.IsAsciiDigit(c))
            {
                digits++;
            }
            else
            {
                return false;
            }
        }

        return dots == 2 && digits is >= 1 and <= 3;
    }
}
