using Postwright.Core.Logging;

namespace Postwright.Testing.Logging;

/// <summary>Keeps log lines as <c>postfix/smtpd: text</c>, for tests to look at.</summary>
public sealed class LogLines : ILogSink
{
    private readonly Lock _lock = new();
    private readonly List<string> _lines = [];

    /// <summary>The lines so far.</summary>
    public IReadOnlyList<string> All
    {
        get
        {
            lock (_lock)
            {
                return [.. _lines];
            }
        }
    }

    /// <summary>A log of the service <paramref name="service"/> that ends here.</summary>
    public MailLog For(string service) => new(this, $"postfix/{service}", 1);

    public void Write(LogLevel level, string tag, int number, string text)
    {
        lock (_lock)
        {
            _lines.Add($"{tag}: {text}");
        }
    }
}
