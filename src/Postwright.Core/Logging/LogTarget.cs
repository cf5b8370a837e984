namespace Postwright.Core.Logging;

/// <summary>
/// Where the gathered lines of a <see cref="GatheredLog"/> end: a file, syslog, a stream. It decides what stands in front of
/// the tag and how bytes are written; order, gathering and bounds are the gatherer's. Called by one thread at a time.
/// </summary>
internal abstract class LogTarget : IDisposable
{
    /// <summary>Puts what stands before the tag into <paramref name="buffer"/> (at least 128 bytes) and says how much that is.</summary>
    public abstract int Begin(LogLevel level, Span<byte> buffer);

    /// <summary>Writes whole lines, each ended by LF. False when they could not be written: they are lost, and counted.</summary>
    public abstract bool TryWrite(ReadOnlySpan<byte> lines);

    /// <inheritdoc />
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Gives descriptors back.</summary>
    protected virtual void Dispose(bool disposing)
    {
    }
}
