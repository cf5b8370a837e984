using Postwright.Server.Cleanup;
using Postwright.Server.Queue;

namespace Postwright.Server.Report;

/// <summary>Copies a message, or its header alone, into a notice, a piece at a time.</summary>
internal static class ReturnedContent
{
    private const int PieceSize = 16 << 10;

    /// <summary>A header may be as large as the message; more than this of it is of no use in a notice.</summary>
    private const int MaxHeader = 1 << 20;

    /// <summary>Copies. A header ends before its empty line.</summary>
    /// <exception cref="IOException">The message cannot be read.</exception>
    public static async ValueTask CopyAsync(ICleanupMessage notice, MessageContent content, bool headersOnly, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[PieceSize];
        int lineLength = 0;
        for (long offset = 0; !headersOnly || offset < MaxHeader;)
        {
            int count = await content.ReadAsync(offset, buffer, cancellationToken);
            bool found = false;
            int wanted = headersOnly ? HeaderBytes(buffer.AsSpan(0, count), ref lineLength, out found) : count;
            await notice.WriteAsync(buffer.AsMemory(0, wanted), cancellationToken);
            offset += wanted;
            if (found || wanted == 0)
            {
                return;
            }
        }
    }

    /// <summary>How many of <paramref name="bytes"/> belong to the header; a CR that may begin the empty line is left for the next piece.</summary>
    internal static int HeaderBytes(ReadOnlySpan<byte> bytes, ref int lineLength, out bool found)
    {
        found = false;
        int lineStart = 0;
        for (int i = 0; i < bytes.Length; i++)
        {
            if (bytes[i] != '\n')
            {
                lineLength += bytes[i] == '\r' ? 0 : 1;
            }
            else if (lineLength == 0)
            {
                found = true;
                return lineStart;
            }
            else
            {
                lineLength = 0;
                lineStart = i + 1;
            }
        }

        return lineLength == 0 && bytes.Length > 0 && bytes[^1] == '\r' ? bytes.Length - 1 : bytes.Length;
    }
}
