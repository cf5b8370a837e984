namespace Postwright.Core.Configuration.Check;

/// <summary>How bad a finding is.</summary>
public enum FindingSeverity
{
    /// <summary>Start goes on and says it.</summary>
    Warning,

    /// <summary>Start stops.</summary>
    Error,
}

/// <summary>Something in the configuration that an administrator should know.</summary>
/// <param name="Severity">Whether start stops.</param>
/// <param name="File">The file it is in; the parameter's default counts as main.cf.</param>
/// <param name="Line">The line, from 1; 0 where there is none.</param>
/// <param name="Text">What is wrong and what would be right.</param>
public sealed record ConfigurationFinding(FindingSeverity Severity, string File, int Line, string Text)
{
    /// <summary>As a log line shows it: <c>/etc/postfix/main.cf, line 3: text</c>.</summary>
    public override string ToString() => Line > 0 ? $"{File}, line {Line}: {Text}" : $"{File}: {Text}";
}
