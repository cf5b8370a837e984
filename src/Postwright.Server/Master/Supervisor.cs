using System.Collections.Concurrent;
using Postwright.Core.Logging;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>
/// Keeps its programs running: starts each with a channel to it, starts it again when it ends (at once after a good run, else
/// after a wait that doubles), passes messages on, and ends all of them when told to. Everything is decided by one loop
/// (<see cref="Run"/>) that takes events from a bounded queue; threads that wait for a child or read its channel only post to it.
/// It parses nothing but the one word that a child says, <c>ready</c>.
/// <para>If a program fails before it was ever ready, the whole start has failed: <see cref="Run"/> returns 1.</para>
/// </summary>
public sealed class Supervisor : IDisposable
{
    /// <summary>What a child says on its channel once it serves.</summary>
    public const string Ready = "ready";

    private readonly SupervisorOptions _options;
    private readonly MailLog _log;
    private readonly TimeProvider _clock;
    private readonly List<Child> _children;
    private readonly BlockingCollection<Action> _events = new(boundedCapacity: 1024);
    private Action? _whenReady;
    private bool _everReady;
    private bool _stopping;
    private int _status;
    private long _stopDeadline;

    /// <summary>A supervisor that has started nothing yet.</summary>
    public Supervisor(IReadOnlyList<SupervisedProgram> programs, SupervisorOptions options, MailLog log, TimeProvider clock)
    {
        _options = options;
        _log = log;
        _clock = clock;
        _children = [.. programs.Select(p => new Child(p))];
    }

    /// <summary>Starts all programs and keeps them running until <see cref="Stop"/>; the exit status.</summary>
    /// <param name="whenReady">Called once, on the loop, when all programs serve for the first time.</param>
    public int Run(Action? whenReady = null)
    {
        _whenReady = whenReady;
        _children.ForEach(Start);
        while (!_stopping || _children.Exists(c => c.Process > 0))
        {
            if (_events.TryTake(out Action? happened, NextDue()))
            {
                happened();
            }

            long now = _clock.GetTimestamp();
            foreach (Child child in _children)
            {
                if (!_stopping && child.Process == 0 && child.DueAt <= now)
                {
                    Start(child);
                }
                else if (_stopping && child.Process > 0 && now >= _stopDeadline)
                {
                    _ = MasterCalls.Kill(child.Process, MasterCalls.SignalKill);
                }
            }
        }

        return _status;
    }

    /// <summary>Runs <paramref name="action"/> on the loop, where <see cref="Send"/> may be called: a reload.</summary>
    public void Post(Action action) => _events.Add(action);

    /// <summary>Ends all programs, and the loop with them. Their channel ends first; who does not end within the time is killed.</summary>
    public void Stop() => Post(() => BeginStop(0));

    /// <summary>Sends a running program a message; false if it does not run (it will read everything anew when it starts).</summary>
    public bool Send(string program, string text, params ReadOnlySpan<int> descriptors)
    {
        Child child = _children.Find(c => c.Program.Name == program) ?? throw new ArgumentException("no such program", nameof(program));
        return child.Channel is { } channel && channel.Send(text, descriptors);
    }

    /// <summary>The process of a running program, else 0. For the loop and for tests.</summary>
    public int ProcessOf(string program) => _children.Find(c => c.Program.Name == program)?.Process ?? 0;

    /// <inheritdoc />
    public void Dispose() => _events.Dispose();

    private TimeSpan NextDue()
    {
        TimeSpan wait = TimeSpan.FromSeconds(60);
        long now = _clock.GetTimestamp();
        foreach (Child child in _children)
        {
            long due = _stopping ? _stopDeadline : child.Process == 0 ? child.DueAt : long.MaxValue;
            if (due != long.MaxValue && (!_stopping || child.Process > 0))
            {
                // After the deadline the kill has been sent: look again now and then, for a process in uninterruptible sleep.
                TimeSpan left = due > now ? _clock.GetElapsedTime(now, due) : _stopping ? TimeSpan.FromMilliseconds(100) : TimeSpan.Zero;
                wait = left < wait ? left : wait;
            }
        }

        return wait;
    }

    private void Start(Child child)
    {
        (MasterChannel ours, int theirs) = MasterChannel.CreatePair();
        SpawnRequest request = child.Program.Start();
        request = request with { Descriptors = [new PassedDescriptor("master", theirs), .. request.Descriptors] };
        int process = Spawn.Start(request, out string? error);
        _ = MasterCalls.Close(theirs);
        child.StartedAt = _clock.GetTimestamp();
        if (process < 0)
        {
            ours.Dispose();
            _log.Warning($"process {child.Program.LogPath} cannot be started: {error}");
            if (_everReady)
            {
                Throttle(child);
            }
            else
            {
                BeginStop(1);
            }

            return;
        }

        child.Process = process;
        child.Channel = ours;
        child.IsReady = false;
        new Thread(() => WaitForEnd(child, process)) { IsBackground = true, Name = $"wait {child.Program.Name}" }.Start();
        new Thread(() => Listen(child, ours)) { IsBackground = true, Name = $"hear {child.Program.Name}" }.Start();
    }

    private void WaitForEnd(Child child, int process)
    {
        int status;
        while (MasterCalls.WaitFor(process, out status, 0) < 0)
        {
            if (System.Runtime.InteropServices.Marshal.GetLastPInvokeError() != MasterCalls.Interrupted)
            {
                status = 0;
                break;
            }
        }

        TryPost(() => Ended(child, process, status));
    }

    private void Listen(Child child, MasterChannel channel)
    {
        while (channel.Receive(out string text, out int[] descriptors))
        {
            foreach (int unasked in descriptors)
            {
                _ = MasterCalls.Close(unasked);
            }

            if (text == Ready)
            {
                TryPost(() => Serves(child));
            }
        }
    }

    private void TryPost(Action action)
    {
        try
        {
            _events.Add(action);
        }
        catch (Exception failure) when (failure is ObjectDisposedException or InvalidOperationException)
        {
            // The loop is over: nobody is left to be told.
        }
    }

    private void Serves(Child child)
    {
        child.IsReady = true;
        if (!_everReady && _children.TrueForAll(c => c.IsReady))
        {
            _everReady = true;
            _whenReady?.Invoke();
        }
    }

    private void Ended(Child child, int process, int status)
    {
        child.Channel?.Dispose();
        child.Channel = null;
        child.Process = 0;
        int signal = status & 0x7f;
        int code = (status >> 8) & 0xff;
        if (_stopping)
        {
            return;
        }

        if (signal != 0)
        {
            _log.Warning($"process {child.Program.LogPath} pid {process} killed by signal {signal}");
        }
        else if (code != 0)
        {
            _log.Warning($"process {child.Program.LogPath} pid {process} exit status {code}");
        }

        if (!_everReady)
        {
            _log.Fatal($"{child.Program.Name}: initialization failure");
            BeginStop(1);
        }
        else if (_clock.GetElapsedTime(child.StartedAt) >= _options.GoodRun)
        {
            child.Failures = 0;
            child.DueAt = 0;
        }
        else
        {
            Throttle(child);
        }
    }

    private void Throttle(Child child)
    {
        TimeSpan wait = child.Failures < 16 ? _options.FirstThrottle * (1 << child.Failures) : _options.ThrottleTime;
        wait = wait < _options.ThrottleTime ? wait : _options.ThrottleTime;
        child.Failures++;
        child.DueAt = _clock.GetTimestamp() + (long)(wait.TotalSeconds * _clock.TimestampFrequency);
        _log.Warning($"{child.Program.LogPath}: bad command startup -- throttling");
    }

    private void BeginStop(int status)
    {
        if (_stopping)
        {
            return;
        }

        _stopping = true;
        _status = status;
        _stopDeadline = _clock.GetTimestamp() + (long)(_options.StopTime.TotalSeconds * _clock.TimestampFrequency);
        foreach (Child child in _children)
        {
            child.Channel?.Dispose();
            child.Channel = null;
        }
    }

    private sealed class Child(SupervisedProgram program)
    {
        public SupervisedProgram Program { get; } = program;

        public int Process { get; set; }

        public MasterChannel? Channel { get; set; }

        public bool IsReady { get; set; }

        public int Failures { get; set; }

        public long StartedAt { get; set; }

        public long DueAt { get; set; }
    }
}
