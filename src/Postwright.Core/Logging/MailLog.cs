namespace Postwright.Core.Logging;

/// <summary>Postfix's message levels; the word stands before the text (<c>warning: </c>), nothing for <see cref="Info"/>.</summary>
public enum LogLevel
{
    /// <summary>An event.</summary>
    Info,

    /// <summary>Something an administrator should look at.</summary>
    Warning,

    /// <summary>A fault that one message or session suffered from.</summary>
    Error,

    /// <summary>A fault that ends the process or command.</summary>
    Fatal,

    /// <summary>A bug.</summary>
    Panic,
}

/// <summary>Where finished log lines go: maillog_file, syslog, standard error, or a test's list.</summary>
public interface ILogSink
{
    /// <summary>Takes one line. Must not block on the network and must not throw.</summary>
    /// <param name="level">For syslog's priority.</param>
    /// <param name="tag">Such as <c>postfix/smtpd</c>.</param>
    /// <param name="number">The number in brackets: of the session or delivery, not of the process.</param>
    /// <param name="text">Level word and message; control characters are already replaced by <c>?</c>.</param>
    void Write(LogLevel level, string tag, int number, string text);
}

/// <summary>
/// Writes log lines of one service and one session in Postfix's shape, <c>postfix/smtpd[12]: text</c>. Control characters
/// and DEL become <c>?</c> here, once, so that no peer can forge a line.
/// </summary>
public sealed class MailLog(ILogSink sink, string tag, int number)
{
    /// <summary>The tag, with syslog_name before the slash.</summary>
    public string Tag { get; } = tag;

    /// <summary>The number in brackets.</summary>
    public int Number { get; } = number;

    /// <summary>The same sink and syslog_name under another service and number.</summary>
    public MailLog For(string service, int serviceNumber) => new(sink, $"{Tag[..Tag.LastIndexOf('/')]}/{service}", serviceNumber);

    /// <summary>Logs an event.</summary>
    public void Info(string text) => sink.Write(LogLevel.Info, Tag, Number, Clean(text));

    /// <summary>Logs <c>warning: text</c>.</summary>
    public void Warning(string text) => sink.Write(LogLevel.Warning, Tag, Number, "warning: " + Clean(text));

    /// <summary>Logs <c>error: text</c>.</summary>
    public void Error(string text) => sink.Write(LogLevel.Error, Tag, Number, "error: " + Clean(text));

    /// <summary>Logs <c>fatal: text</c>; ending the process is the caller's.</summary>
    public void Fatal(string text) => sink.Write(LogLevel.Fatal, Tag, Number, "fatal: " + Clean(text));

    /// <summary>Logs <c>panic: text</c>.</summary>
    public void Panic(string text) => sink.Write(LogLevel.Panic, Tag, Number, "panic: " + Clean(text));

    private static string Clean(string text)
    {
        if (!text.AsSpan().ContainsAnyInRange('\0', '\x1f') && !text.Contains('\x7f'))
        {
            return text;
        }

        return string.Create(text.Length, text, static (span, source) =>
        {
            for (int i = 0; i < span.Length; i++)
            {
                span[i] = source[i] < ' ' || source[i] == '\x7f' ? '?' : source[i];
            }
        });
    }
}
