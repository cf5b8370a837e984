namespace Postwright.Core.Configuration;

/// <summary>Something wrong in a configuration file.</summary>
/// <param name="File">The file's path; <c>-o</c> where an override is wrong.</param>
/// <param name="Line">The line, from 1; 0 where there is none.</param>
/// <param name="Text">What is wrong and what would be right.</param>
/// <param name="IsFatal">False for what Postfix only warns of.</param>
public sealed record ConfigurationError(string File, int Line, string Text, bool IsFatal = true)
{
    /// <summary>postconf's words where they end it; start refuses more than postconf does.</summary>
    internal string? PostconfFatal { get; init; }

    /// <summary>postconf's words where it only warns.</summary>
    internal string? PostconfWarning { get; init; }

    /// <summary>As a log line shows it: <c>file, line 3: text</c>.</summary>
    public override string ToString() => Line > 0 ? $"{File}, line {Line}: {Text}" : $"{File}: {Text}";
}
