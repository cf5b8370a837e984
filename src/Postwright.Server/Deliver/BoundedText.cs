namespace Postwright.Server.Deliver;

/// <summary>Shortens what others have written, a server, a command or a table, where it becomes ours to keep.</summary>
internal static class BoundedText
{
    /// <summary>UTF-16 units of a server's reply that are kept: Postfix's line_length_limit, at which it stops to keep a reply's lines.</summary>
    public const int MostOfReply = 2048;

    /// <summary>UTF-16 units of a result's texts: a reply, and what is said around it.</summary>
    public const int MostOfResult = 3072;

    /// <summary>The first of a text, in whole characters.</summary>
    /// <param name="text">Any.</param>
    /// <param name="most">UTF-16 units that stay at most.</param>
    public static string Cut(string text, int most) =>
        text.Length <= most ? text : most > 0 && char.IsHighSurrogate(text[most - 1]) ? text[..(most - 1)] : text[..most];
}
