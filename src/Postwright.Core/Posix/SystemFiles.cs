using Microsoft.Win32.SafeHandles;

namespace Postwright.Core.Posix;

#pragma warning disable RS0030 // The one class that reads what an administrator writes; a simulation writes such files too.

/// <summary>
/// The files that an administrator writes: main.cf, tables, /etc/hosts, /etc/services. The queue's are <see cref="Seams.IDisk"/>'s.
/// </summary>
internal static class SystemFiles
{
    /// <inheritdoc cref="File.Exists(string)" />
    public static bool Exists(string path) => File.Exists(path);

    /// <summary>Reads from a file that is open.</summary>
    public static Stream Read(SafeFileHandle file) => new FileStream(file, FileAccess.Read, bufferSize: 0);

    /// <inheritdoc cref="File.ReadLines(string)" />
    public static IEnumerable<string> ReadLines(string path) => File.ReadLines(path);

    /// <inheritdoc cref="File.GetLastWriteTimeUtc(string)" />
    public static DateTime LastWriteTimeUtc(string path) => File.GetLastWriteTimeUtc(path);

    /// <summary>The file at the end of a chain of symbolic links; null where <paramref name="path"/> is none.</summary>
    /// <exception cref="IOException">The chain is a circle, or cannot be read.</exception>
    public static string? LinkTarget(string path) => File.ResolveLinkTarget(path, returnFinalTarget: true)?.FullName;

    /// <summary>Gives a file the permission bits of another.</summary>
    public static void CopyMode(string from, string to) => File.SetUnixFileMode(to, File.GetUnixFileMode(from));

    /// <summary>The files in a directory.</summary>
    public static string[] FilesOf(string directory) => Directory.GetFiles(directory);
}
