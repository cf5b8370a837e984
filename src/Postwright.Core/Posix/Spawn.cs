using System.Runtime.InteropServices;

namespace Postwright.Core.Posix;

/// <summary>
/// Starts a program in a session of its own with default signals, its standard input and output on pipes (standard error goes
/// with output), and waits for it without ever blocking longer than asked. Only for threads that may block.
/// <para>Every descriptor here is close-on-exec but the three the child gets. The child is not reaped by anybody else: the
/// runtime only reaps children that it started itself.</para>
/// </summary>
public sealed unsafe partial class Spawn : IDisposable
{
    // More than glibc's posix_spawnattr_t (336 bytes) and posix_spawn_file_actions_t (80) on any 64-bit Linux.
    private const int OpaqueSize = 1024;
    private const int Kill = 9;
    private readonly int _processId;
    private readonly int _processHandle;
    private int _input;
    private int _output;
    private int? _status;

    private Spawn(int processId, int input, int output)
    {
        _processId = processId;
        _input = input;
        _output = output;

        // pidfd_open: so that its end can be waited for with a limit.
        _processHandle = DeliveryFile.Result(syscall(434, processId, 0));
    }

    /// <summary>Starts a program.</summary>
    /// <param name="path">The program.</param>
    /// <param name="arguments">All of argv.</param>
    /// <param name="environment">The whole environment, as NAME=value.</param>
    /// <param name="error">Minus errno when null is returned.</param>
    public static Spawn? Start(string path, IReadOnlyList<string> arguments, IReadOnlyList<string> environment, out int error)
    {
        int* input = stackalloc int[2];
        int* output = stackalloc int[2];
        error = DeliveryFile.Result(pipe2(input, OpenFlags.CloseOnExec));
        if (error < 0)
        {
            return null;
        }

        error = DeliveryFile.Result(pipe2(output, OpenFlags.CloseOnExec));
        if (error < 0)
        {
            Close(input[0], input[1]);
            return null;
        }

        int processId = 0;
        error = -Run(&processId, path, input[0], output[1], arguments, environment);
        Close(input[0], output[1]);
        if (error < 0)
        {
            Close(input[1], output[0]);
            return null;
        }

        _ = fcntl(input[1], 4, OpenFlags.NonBlocking);
        return new Spawn(processId, input[1], output[0]);
    }

    /// <summary>
    /// Waits until its input takes bytes or its output has some; false when the time is over.
    /// A closed pipe counts as ready: the next call tells.
    /// </summary>
    public bool Wait(TimeSpan limit, out bool canWrite, out bool canRead)
    {
        Poll* polls = stackalloc Poll[2];
        polls[0] = new Poll { Descriptor = _input, Wanted = 4 };
        polls[1] = new Poll { Descriptor = _output, Wanted = 1 };
        int count = PollFor(polls, 2, limit);
        canWrite = polls[0].Happened != 0;
        canRead = polls[1].Happened != 0;
        return count != 0;
    }

    /// <summary>Writes what its input takes now; minus errno: EAGAIN when full, EPIPE when it no longer reads.</summary>
    public int WriteInput(ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            return DeliveryFile.Result(write(_input, start, bytes.Length));
        }
    }

    /// <summary>Reads what it has put out, 0 at the end.</summary>
    public int ReadOutput(Span<byte> buffer) => DeliveryFile.Read(_output, buffer);

    /// <summary>The end of its input.</summary>
    public void CloseInput()
    {
        Close(_input, -1);
        _input = -1;
    }

    /// <summary>Waits for its end; null when the time is over. The number is wait(2)'s status.</summary>
    public int? WaitForExit(TimeSpan limit)
    {
        if (_status is null && _processHandle >= 0)
        {
            var poll = new Poll { Descriptor = _processHandle, Wanted = 1 };
            if (PollFor(&poll, 1, limit) == 0)
            {
                return null;
            }
        }

        return _status ??= Reap();
    }

    /// <summary>Ends it and all in its session's first process group.</summary>
    public void KillGroup()
    {
        if (_status is null)
        {
            _ = kill(-_processId, Kill);
            _ = kill(_processId, Kill);
        }
    }

    /// <summary>Ends it if it still runs, and gives everything back.</summary>
    public void Dispose()
    {
        KillGroup();
        _status ??= Reap();
        Close(_input, _output);
        Close(_processHandle, -1);
        _input = _output = -1;
    }

    private static int Run(int* processId, string path, int input, int output, IReadOnlyList<string> arguments, IReadOnlyList<string> environment)
    {
        byte* actions = stackalloc byte[OpaqueSize];
        byte* attributes = stackalloc byte[OpaqueSize];
        byte* signals = stackalloc byte[128];
        new Span<byte>(signals, 128).Clear();
        _ = posix_spawn_file_actions_init(actions);
        _ = posix_spawn_file_actions_adddup2(actions, input, 0);
        _ = posix_spawn_file_actions_adddup2(actions, output, 1);
        _ = posix_spawn_file_actions_adddup2(actions, output, 2);
        _ = posix_spawnattr_init(attributes);

        // No signal blocked; those that the runtime ignores or handles back to their defaults; a session of its own.
        _ = posix_spawnattr_setsigmask(attributes, signals);
        *(ulong*)signals = 0x7FFFFFFF;
        _ = posix_spawnattr_setsigdefault(attributes, signals);
        _ = posix_spawnattr_setflags(attributes, 0x04 | 0x08 | 0x80);
        try
        {
            return posix_spawn(processId, path, actions, attributes, [.. arguments, null], [.. environment, null]);
        }
        finally
        {
            _ = posix_spawn_file_actions_destroy(actions);
            _ = posix_spawnattr_destroy(attributes);
        }
    }

    private int? Reap()
    {
        int status;
        int result;
        do
        {
            result = DeliveryFile.Result(waitpid(_processId, &status, 0));
        }
        while (result == -Errno.Interrupted);

        // Never happens: as if it had been killed, which is tried again.
        return result == _processId ? status : Kill;
    }

    private static int PollFor(Poll* polls, nuint count, TimeSpan limit)
    {
        int result = DeliveryFile.Result(poll(polls, count, (int)Math.Clamp(limit.TotalMilliseconds, 0, int.MaxValue)));
        return result == -Errno.Interrupted ? 1 : result;
    }

    private static void Close(int first, int second)
    {
        _ = first >= 0 ? DeliveryFile.Close(first) : 0;
        _ = second >= 0 ? DeliveryFile.Close(second) : 0;
    }

    [StructLayout(LayoutKind.Sequential)]
    private struct Poll
    {
        public int Descriptor;
        public short Wanted;
        public short Happened;
    }

    [LibraryImport("libc", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int posix_spawn(int* processId, string path, byte* actions, byte* attributes, string?[] arguments, string?[] environment);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_init(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_adddup2(byte* actions, int from, int to);

    [LibraryImport("libc")]
    private static partial int posix_spawn_file_actions_destroy(byte* actions);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_init(byte* attributes);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setflags(byte* attributes, short flags);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setsigmask(byte* attributes, byte* signals);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_setsigdefault(byte* attributes, byte* signals);

    [LibraryImport("libc")]
    private static partial int posix_spawnattr_destroy(byte* attributes);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int pipe2(int* descriptors, int flags);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int fcntl(int descriptor, int command, int argument);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint write(int descriptor, byte* bytes, nint count);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int poll(Poll* polls, nuint count, int milliseconds);

    [LibraryImport("libc", SetLastError = true)]
    private static partial int waitpid(int processId, int* status, int options);

    [LibraryImport("libc")]
    private static partial int kill(int processId, int signal);

    [LibraryImport("libc", SetLastError = true)]
    private static partial nint syscall(nint number, nint first, nint second);
}
