using System.Runtime.InteropServices;
using System.Text;
using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Logging;

/// <summary>
/// <c>maillog_file</c>: lines in the form of Postfix's postlogd, <c>Nov 29 11:48:13 host postfix/smtpd[7]: text</c>, the host
/// without its domain. Appended with O_APPEND, so that several processes may write to one file.
/// </summary>
internal sealed class MaillogTarget(SafeFileHandle file, string hostName, TimeProvider clock) : LogTarget
{
    private readonly LogTimestamp _timestamp = new(clock);
    private readonly byte[] _host = HostPart(hostName);
    private SafeFileHandle _file = file;

    /// <inheritdoc />
    public override int Begin(LogLevel level, Span<byte> buffer)
    {
        _timestamp.Write(buffer);
        _host.CopyTo(buffer[LogTimestamp.Length..]);
        return LogTimestamp.Length + _host.Length;
    }

    /// <inheritdoc />
    public override bool TryWrite(ReadOnlySpan<byte> lines) => LogCalls.WriteAll(_file, lines);

    /// <summary>Goes over to another file; the old one is closed.</summary>
    public void Replace(SafeFileHandle next)
    {
        _file.Dispose();
        _file = next;
    }

    /// <inheritdoc />
    protected override void Dispose(bool disposing)
    {
        _file.Dispose();
        base.Dispose(disposing);
    }

    // 64 octets are the longest label there is (RFC 1035, 2.3.4).
    private static byte[] HostPart(string hostName)
    {
        string label = hostName.Split('.')[0];
        return Encoding.UTF8.GetBytes((label.Length > 64 ? label[..64] : label) + " ");
    }
}

/// <summary>The few system calls that logging needs as they are: appending opens, and writes whose failure is seen.</summary>
internal static partial class LogCalls
{
    private const int WriteOnly = 1;
    private const int Create = 0x40;
    private const int Append = 0x400;
    private const int CloseOnExec = 0x80000;
    private const int Interrupted = 4;

    /// <summary>Opens a log for appending, made with <paramref name="mode"/> where it is missing; null and errno if that fails.</summary>
    public static SafeFileHandle? OpenForAppend(string path, int mode, out int error)
    {
        int descriptor = Open(path, WriteOnly | Create | Append | CloseOnExec, mode);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new SafeFileHandle(descriptor, ownsHandle: true);
    }

    /// <summary>Writes everything, also to pipes; false on any error.</summary>
    public static unsafe bool WriteAll(SafeFileHandle file, ReadOnlySpan<byte> bytes)
    {
        fixed (byte* start = bytes)
        {
            int done = 0;
            while (done < bytes.Length)
            {
                nint count = WriteFile(file, start + done, bytes.Length - done);
                if (count < 0)
                {
                    if (Marshal.GetLastPInvokeError() == Interrupted)
                    {
                        continue;
                    }

                    return false;
                }

                done += (int)count;
            }
        }

        return true;
    }

    [LibraryImport("libc", EntryPoint = "open", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int Open(string path, int flags, int mode);

    [LibraryImport("libc", EntryPoint = "write", SetLastError = true)]
    private static unsafe partial nint WriteFile(SafeFileHandle file, byte* bytes, nint count);
}
