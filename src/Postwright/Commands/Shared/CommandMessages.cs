using Postwright.Core.Logging;

namespace Postwright.Commands.Shared;

/// <summary>
/// What a command says: <c>name: warning: text</c> on standard error, and the same in the mail log once it is known where that
/// is. A fatal message gives the exit status, so that a command ends with <c>return messages.Fatal("...")</c>.
/// </summary>
/// <param name="program">The command's name.</param>
/// <param name="error">Standard error.</param>
/// <param name="fatalStatus">The exit status after a fatal message.</param>
internal sealed class CommandMessages(string program, TextWriter error, int fatalStatus)
{
    private MailLog? _log;

    /// <summary>The command's name.</summary>
    public string Program { get; } = program;

    /// <summary>Standard error.</summary>
    public TextWriter Stderr { get; } = error;

    /// <summary>From now on, the mail log gets the messages too.</summary>
    public void LogTo(MailLog log) => _log = log;

    /// <summary>Something that went as it should.</summary>
    public void Info(string text)
    {
        Stderr.WriteLine($"{Program}: {Clean(text)}");
        _log?.Info(text);
    }

    /// <summary>Something that went wrong and does not end the command.</summary>
    public void Warning(string text)
    {
        Stderr.WriteLine($"{Program}: warning: {Clean(text)}");
        _log?.Warning(text);
    }

    /// <summary>Something that leads to a fatal message.</summary>
    public void Error(string text)
    {
        Stderr.WriteLine($"{Program}: error: {Clean(text)}");
        _log?.Error(text);
    }

    /// <summary>What ends the command.</summary>
    /// <returns>The exit status.</returns>
    public int Fatal(string text)
    {
        Stderr.WriteLine($"{Program}: fatal: {Clean(text)}");
        _log?.Fatal(text);
        return fatalStatus;
    }

    /// <summary>No terminal is to obey what a user or file put into a message.</summary>
    private static string Clean(string text) => string.Create(text.Length, text, static (span, source) =>
    {
        for (int i = 0; i < span.Length; i++)
        {
            span[i] = char.IsControl(source[i]) ? '?' : source[i];
        }
    });
}
