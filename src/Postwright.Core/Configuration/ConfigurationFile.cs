using System.Text;
using Postwright.Core.Tables;

namespace Postwright.Core.Configuration;

/// <summary>
/// Reads main.cf, master.cf and tables' sources: as UTF-8, and where the bytes are none, each byte as one character, so that
/// nothing is lost. A file that is too large, absent or closed to us is an answer, not an exception.
/// </summary>
internal static class ConfigurationFile
{
    /// <summary>No configuration comes near it; a device or a log named by mistake does.</summary>
    public const int LargestSize = 16 << 20;

    private static readonly UTF8Encoding Strict = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>
    /// The path of a file in a configuration directory, as Postfix puts it together: the empty name is the root directory, never
    /// the one that the caller happens to be in.
    /// </summary>
    public static string In(string directory, string file) => $"{directory}/{file}";

    /// <summary>What Postfix says of a file that cannot be read.</summary>
    /// <param name="path">The file.</param>
    /// <param name="reason">The system's words.</param>
    public static string Failure(string path, string reason) => $"{(reason == Libc.ErrorText(Libc.IsADirectory) ? "read" : "open")} {path}: {reason}";

    /// <summary>Why a file cannot be read, in Postfix's words; null where it can.</summary>
    public static string? WhyUnreadable(string path) => ReadBytes(path, out _) is { } reason ? Failure(path, reason) : null;

    /// <summary>The text; the answer is the reason of a failure in the system's words, or null.</summary>
    public static string? Read(string path, out string text)
    {
        string? trouble = ReadBytes(path, out byte[] bytes);
        text = trouble is null ? Decode(bytes) : "";
        return trouble;
    }

    /// <summary>UTF-8, or a byte a character.</summary>
    public static string Decode(byte[] bytes)
    {
        try
        {
            return Strict.GetString(bytes);
        }
        catch (DecoderFallbackException)
        {
            return Encoding.Latin1.GetString(bytes);
        }
    }

    /// <summary>The bytes; the answer is the reason of a failure in the system's words, or null.</summary>
    public static string? ReadBytes(string path, out byte[] bytes)
    {
        bytes = [];
        try
        {
            using Stream? file = TableFile.Open(path, out string? trouble);
            if (file is null)
            {
                return trouble;
            }

            using var content = new MemoryStream();
            byte[] buffer = new byte[64 * 1024];
            for (int count; (count = file.Read(buffer)) > 0;)
            {
                content.Write(buffer, 0, count);
                if (content.Length > LargestSize)
                {
                    return $"File too large: more than {LargestSize} bytes";
                }
            }

            bytes = content.ToArray();
            return null;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or NotSupportedException)
        {
            return Reason(failure);
        }
    }

    /// <summary>A failure in the system's words.</summary>
    public static string Reason(Exception failure) => failure switch
    {
        FileNotFoundException or DirectoryNotFoundException => "No such file or directory",
        UnauthorizedAccessException => "Permission denied",
        _ => failure.Message,
    };
}
