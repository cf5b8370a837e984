using System.Buffers.Text;
using System.Text;

namespace Postwright.Core.Logging;

#pragma warning disable RS0030 // The real log: one thread writes for all sessions.

/// <summary>
/// Takes log lines from any number of sessions and lets one thread write them, in order, many in one write: a line waits at
/// most <see cref="GatherMilliseconds"/> or until <see cref="GatherBytes"/> have come together. Everything written before
/// <see cref="Flush"/> or <see cref="Dispose"/> is out when these return, unless the target hangs for longer than their limit.
/// <para>Bounded: beyond <see cref="PendingLimit"/> bytes a writer waits once, for at most a second; after that lines are
/// dropped and counted until the target moves again, and a warning then says how many. Logging never stops the mail.</para>
/// </summary>
internal sealed class GatheredLog : ILogSink, IDisposable
{
    /// <summary>How long a line may wait for company: below what a reader of the log notices, long enough to join a burst.</summary>
    public const int GatherMilliseconds = 5;

    /// <summary>Written at once from here on: larger writes gain nothing.</summary>
    public const int GatherBytes = 64 * 1024;

    /// <summary>Bytes waiting at most, about 20,000 lines: two seconds of the highest load seen.</summary>
    public const int PendingLimit = 4 * 1024 * 1024;

    /// <summary>Bytes of one line's text at most, as Postfix's own logger has it.</summary>
    public const int TextLimit = 2000;

    private static readonly TimeSpan FlushLimit = TimeSpan.FromSeconds(5);
    private readonly object _gate = new();
    private readonly LogTarget _target;
    private readonly Thread _writer;
    private byte[] _pending = new byte[GatherBytes * 2];
    private byte[] _spare = new byte[GatherBytes * 2];
    private int _length;
    private long _taken;
    private long _written;
    private long _dropped;
    private bool _stalled;
    private bool _ending;

    public GatheredLog(LogTarget target)
    {
        _target = target;
        _writer = new Thread(WriteLoop) { IsBackground = true, Name = "log" };
        _writer.Start();
    }

    /// <inheritdoc />
    public void Write(LogLevel level, string tag, int number, string text)
    {
        lock (_gate)
        {
            if (_ending || !HasRoom())
            {
                _dropped++;
                return;
            }

            int before = _length;
            Append(level, tag, number, text);
            _taken++;
            if (before == 0 || (before < GatherBytes && _length >= GatherBytes))
            {
                Monitor.PulseAll(_gate);
            }
        }
    }

    /// <summary>Waits until everything taken so far is written, for at most five seconds.</summary>
    public void Flush()
    {
        lock (_gate)
        {
            long goal = _taken;
            long end = Environment.TickCount64 + (long)FlushLimit.TotalMilliseconds;
            Monitor.PulseAll(_gate);
            while (_written < goal && Environment.TickCount64 < end)
            {
                Monitor.Wait(_gate, TimeSpan.FromMilliseconds(100));
            }
        }
    }

    /// <summary>Runs <paramref name="action"/> between two writes: a change of the target (reopening) loses no line.</summary>
    public void BetweenWrites(Action action)
    {
        Flush();
        lock (_target)
        {
            action();
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        lock (_gate)
        {
            _ending = true;
            Monitor.PulseAll(_gate);
        }

        if (_writer.Join(FlushLimit))
        {
            _target.Dispose();
        }
    }

    private bool HasRoom()
    {
        if (_length < PendingLimit)
        {
            return true;
        }

        if (!_stalled)
        {
            Monitor.Wait(_gate, TimeSpan.FromSeconds(1));
            _stalled = _length >= PendingLimit;
        }

        return _length < PendingLimit;
    }

    private void Append(LogLevel level, string tag, int number, string text)
    {
        int need = 128 + ((tag.Length + Math.Min(text.Length, TextLimit)) * 3) + 32;
        if (_pending.Length - _length < need)
        {
            Array.Resize(ref _pending, Math.Max(_pending.Length * 2, _length + need));
        }

        Span<byte> rest = _pending.AsSpan(_length);
        int at = _target.Begin(level, rest);
        at += Encoding.UTF8.GetBytes(tag, rest[at..]);
        rest[at++] = (byte)'[';
        Utf8Formatter.TryFormat(number, rest[at..], out int digits);
        at += digits;
        "]: "u8.CopyTo(rest[at..]);
        at += 3;
        at += Encoding.UTF8.GetBytes(text.AsSpan(0, Math.Min(text.Length, TextLimit)), rest[at..]);
        rest[at++] = (byte)'\n';
        _length += at;
    }

    private void WriteLoop()
    {
        while (true)
        {
            byte[] lines;
            int length;
            long taken;
            lock (_gate)
            {
                while (_length == 0)
                {
                    if (_ending)
                    {
                        return;
                    }

                    Monitor.Wait(_gate);
                }

                if (_length < GatherBytes && !_ending)
                {
                    Monitor.Wait(_gate, GatherMilliseconds);
                }

                lines = _pending;
                length = _length;
                taken = _taken;
                _pending = _spare;
                _spare = [];
                _length = 0;
            }

            WriteOut(lines, length, taken);
        }
    }

    private void WriteOut(byte[] lines, int length, long taken)
    {
        bool done;
        lock (_target)
        {
            done = _target.TryWrite(lines.AsSpan(0, length));
        }

        lock (_gate)
        {
            _spare = lines.Length > PendingLimit ? new byte[GatherBytes * 2] : lines;
            if (!done)
            {
                _dropped += taken - _written;
            }

            _written = taken;
            _stalled = false;
            if (done && _dropped > 0 && !_ending)
            {
                Append(LogLevel.Warning, "postfix/postlogd", Environment.ProcessId, $"warning: {_dropped} log lines were lost: the log could not be written");
                _dropped = 0;
                _taken++;
            }

            Monitor.PulseAll(_gate);
        }
    }
}
