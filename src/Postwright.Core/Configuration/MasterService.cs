namespace Postwright.Core.Configuration;

/// <summary>
/// A row of master.cf, fields as written (<c>-</c> means the default) and as they count.
/// </summary>
public sealed record MasterService
{
    /// <summary>The service's name: <c>smtp</c>, <c>127.0.0.1:2525</c>, <c>pickup</c>.</summary>
    public required string Name { get; init; }

    /// <summary>inet, unix, fifo, pass or unix-dgram.</summary>
    public required string Type { get; init; }

    /// <summary>Columns 3 to 7 as written: private, unpriv, chroot, wakeup, maxproc.</summary>
    public required IReadOnlyList<string> Fields { get; init; }

    /// <summary>The program: <c>smtpd</c>.</summary>
    public required string Command { get; init; }

    /// <summary>Every argument as written, <c>-o</c> included, braces gone.</summary>
    public required IReadOnlyList<string> Arguments { get; init; }

    /// <summary>The settings that <c>-o</c> makes, in order, values unexpanded.</summary>
    public required IReadOnlyList<KeyValuePair<string, string>> Overrides { get; init; }

    /// <summary>The file.</summary>
    public required string File { get; init; }

    /// <summary>The row's first line.</summary>
    public required int Line { get; init; }

    /// <summary>Column 3; the default is yes.</summary>
    public bool IsPrivate => Fields[0] != "n";

    /// <summary>Column 4; the default is yes.</summary>
    public bool IsUnprivileged => Fields[1] != "n";

    /// <summary>Column 5; the default is no.</summary>
    public bool IsChroot => Fields[2] == "y";

    /// <summary>Column 6: the wake-up interval, zero for never.</summary>
    public TimeSpan Wakeup
        => TimeValue.TryParse(Fields[3].TrimEnd('?'), 's', out TimeSpan interval) ? interval : TimeSpan.Zero;

    /// <summary>True when the wake-up interval ends in <c>?</c>: only services in use are woken.</summary>
    public bool WakeupOnlyIfUsed => Fields[3].EndsWith('?');

    /// <summary>Column 7: the process limit, 0 for none; null for <c>-</c>.</summary>
    public int? ProcessLimit => int.TryParse(Fields[4], out int limit) ? limit : null;
}
