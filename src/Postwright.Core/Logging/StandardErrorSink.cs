namespace Postwright.Core.Logging;

/// <summary>
/// What the commands show: <c>postfix/postfix-script: warning: text</c> on standard error, without time and number.
/// </summary>
public sealed class StandardErrorSink : ILogSink
{
    /// <inheritdoc />
    public void Write(LogLevel level, string tag, int number, string text) => Console.Error.WriteLine($"{tag}: {text}");
}

/// <summary>Gives each line to two sinks: a command's, which are shown and logged.</summary>
public sealed class BothSinks(ILogSink first, ILogSink second) : ILogSink
{
    /// <inheritdoc />
    public void Write(LogLevel level, string tag, int number, string text)
    {
        first.Write(level, tag, number, text);
        second.Write(level, tag, number, text);
    }
}
