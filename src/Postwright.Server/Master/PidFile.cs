using System.Globalization;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>
/// <c>pid/master.pid</c>: the number of the running master, right-aligned in 32 columns as Postfix writes it, and a flock that
/// tells whether it runs. The lock counts, not the number: a file left behind by a crash stands in nobody's way.
/// </summary>
public sealed class PidFile : IDisposable
{
    private readonly SafeFileHandle _file;

    private PidFile(SafeFileHandle file) => _file = file;

    /// <summary>Takes the lock and writes our number; null with a null error if somebody else holds it, else null and why.</summary>
    public static PidFile? TryAcquire(string path, out string? error)
    {
        SafeFileHandle? file = OpenLocked(path, MasterCalls.LockExclusive, create: true, out bool held, out error);
        for (int again = 0; held && again < 5; again++)
        {
            // Somebody may just be asking whether we run, which takes the lock for a moment.
            Thread.Sleep(20);
            file = OpenLocked(path, MasterCalls.LockExclusive, create: true, out held, out error);
        }

        if (file is null)
        {
            error = held ? null : error;
            return null;
        }

        byte[] text = Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"{Environment.ProcessId,32}\n"));
        try
        {
            RandomAccess.SetLength(file, 0);
            RandomAccess.Write(file, text, 0);
            return new PidFile(file);
        }
        catch (IOException failure)
        {
            file.Dispose();
            error = failure.Message;
            return null;
        }
    }

    /// <summary>True if a process holds the lock.</summary>
    public static bool IsHeld(string path)
    {
        // A shared lock: two that ask at the same time do not take each other for the master.
        using SafeFileHandle? file = OpenLocked(path, MasterCalls.LockShared, create: false, out bool held, out _);
        return held;
    }

    /// <summary>The number in the file, or null.</summary>
    public static int? Read(string path)
    {
        // Opened without .NET: its FileStream asks for a lock of its own, which the master's stands against.
        int descriptor = MasterCalls.Open(path, MasterCalls.CloseOnExec, 0);
        if (descriptor < 0)
        {
            return null;
        }

        using SafeFileHandle file = new(descriptor, ownsHandle: true);
        try
        {
            Span<byte> bytes = stackalloc byte[64];
            int length = RandomAccess.Read(file, bytes, 0);
            return int.TryParse(Encoding.ASCII.GetString(bytes[..length]).AsSpan().Trim(), CultureInfo.InvariantCulture, out int process) && process > 1 ? process : null;
        }
        catch (IOException)
        {
            return null;
        }
    }

    /// <summary>Gives the lock back. The file stays, as Postfix's does.</summary>
    public void Dispose() => _file.Dispose();

    private static SafeFileHandle? OpenLocked(string path, int kind, bool create, out bool held, out string? error)
    {
        const int ReadWrite = 2;
        const int Create = 0x40;
        held = false;
        int descriptor = MasterCalls.Open(path, ReadWrite | MasterCalls.CloseOnExec | (create ? Create : 0), Convert.ToInt32("644", 8));
        if (descriptor < 0)
        {
            error = $"open {path}: {MasterCalls.LastError}";
            return null;
        }

        SafeFileHandle file = new(descriptor, ownsHandle: true);
        error = null;
        if (MasterCalls.Lock(file, kind | MasterCalls.LockNonBlocking) == 0)
        {
            return file;
        }

        held = true;
        file.Dispose();
        return null;
    }
}
