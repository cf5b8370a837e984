using System.Globalization;

namespace Postwright.Simulation.Engine;

/// <summary>
/// All that happened, as one number, and as text where somebody wants to read it. Two runs of a seed must give the same number.
/// </summary>
internal sealed class History
{
    private readonly Scheduler _scheduler;
    private ulong _hash = 14695981039346656037ul;

    public History(Scheduler scheduler, TextWriter? trace)
    {
        _scheduler = scheduler;
        Trace = trace;
    }

    public TextWriter? Trace { get; }

    public ulong Hash => _hash;

    /// <summary>Notes a number that no reader needs to see.</summary>
    public void Mix(ulong value)
    {
        _hash = (_hash ^ value) * 1099511628211ul;
        _hash ^= _hash >> 29;
    }

    public void Mix(ReadOnlySpan<char> text)
    {
        foreach (char c in text)
        {
            _hash = (_hash ^ c) * 1099511628211ul;
        }

        _hash ^= _hash >> 29;
    }

    public void Mix(ReadOnlySpan<byte> bytes)
    {
        foreach (byte b in bytes)
        {
            _hash = (_hash ^ b) * 1099511628211ul;
        }

        _hash ^= _hash >> 29;
    }

    /// <summary>Notes a line, in the hash and in the trace.</summary>
    public void Note(string actor, string text)
    {
        Mix(actor);
        Mix(text);
        Mix((ulong)_scheduler.Now);
        if (Trace is { } trace)
        {
            TimeSpan now = TimeSpan.FromTicks(_scheduler.Now);
            trace.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{(int)now.TotalHours:D3}:{now:mm\\:ss\\.ffffff} #{_scheduler.Steps,-6} {actor,-12} {text}"));
        }
    }
}
