using System.Text;
using Postwright.Core.Posix;

namespace Postwright.Server.Deliver.Local;

/// <summary>
/// Feeds a command its input while taking its output, so that neither side waits for the other, until the time limit. The first
/// bytes of the output are kept, the rest is read and forgotten.
/// </summary>
internal sealed class CommandConversation(Spawn child, TimeProvider time, TimeSpan limit) : ICopySink
{
    // Postfix's buffer: enough for a reason, too little to flood a notice with.
    private const int OutputLimit = 4096;
    private readonly long _started = time.GetTimestamp();
    private readonly byte[] _output = new byte[OutputLimit];
    private readonly byte[] _discarded = new byte[OutputLimit];
    private int _outputLength;
    private bool _outputEnded;

    /// <summary>What it said, line ends as blanks and other control characters as question marks.</summary>
    public string Output => string.Concat(
        Encoding.UTF8.GetString(_output, 0, _outputLength).Select(c => c is '\n' or '\t' ? ' ' : char.IsControl(c) ? '?' : c));

    private TimeSpan Left => limit - time.GetElapsedTime(_started);

    /// <inheritdoc />
    public int Write(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            int written = child.WriteInput(bytes);
            if (written >= 0)
            {
                bytes = bytes[written..];
                continue;
            }

            if (written != -Errno.TryAgain)
            {
                return written;
            }

            if (Left <= TimeSpan.Zero || !child.Wait(Left, out _, out bool canRead))
            {
                return -Errno.TimedOut;
            }

            TakeOutput(canRead);
        }

        return 0;
    }

    /// <summary>Ends its input, takes its output to the end, and waits; wait(2)'s status, or null when the time was over and it was killed.</summary>
    public int? Finish()
    {
        child.CloseInput();
        while (!_outputEnded && Left > TimeSpan.Zero)
        {
            if (!child.Wait(Left, out _, out bool canRead))
            {
                break;
            }

            TakeOutput(canRead);
        }

        int? status = child.WaitForExit(Left > TimeSpan.Zero ? Left : TimeSpan.Zero);
        if (status is null)
        {
            child.KillGroup();
        }

        return status;
    }

    private void TakeOutput(bool canRead)
    {
        if (!canRead || _outputEnded)
        {
            return;
        }

        bool full = _outputLength == OutputLimit;
        int count = child.ReadOutput(full ? _discarded : _output.AsSpan(_outputLength));
        _outputEnded = count <= 0;
        _outputLength += full ? 0 : Math.Max(0, count);
    }
}
