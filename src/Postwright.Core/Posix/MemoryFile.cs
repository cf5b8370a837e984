using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Posix;

/// <summary>Files that exist in memory only (memfd_create): how content without a file of its own is handed over as a descriptor.</summary>
public static partial class MemoryFile
{
    /// <summary>An empty one, close-on-exec.</summary>
    /// <exception cref="IOException">No memory or descriptors.</exception>
    public static SafeFileHandle Create(string name)
    {
        int descriptor = memfd_create(name, 1);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, true)
            : throw new IOException($"memfd_create: {Marshal.GetLastPInvokeErrorMessage()}");
    }

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    private static partial int memfd_create(string name, uint flags);
}
