using Postwright.Core.Configuration;

namespace Postwright.Commands.Postmap;

/// <summary>Takes one lookup key; it is good only until the call returns.</summary>
internal delegate void KeyTaker(ReadOnlySpan<byte> key);

// The keys that standard input holds: a line each, or the header and body lines of a message (-h, -b). A NUL ends a key, as
// in a C string. Whoever takes keys is told when no more of them can be had without waiting for input, so that nothing is held
// meanwhile.

/// <summary>Reads lookup keys from standard input.</summary>
internal static class PostmapKeys
{
    /// <summary>The longest line; it stands in memory.</summary>
    private const int MaxLine = 256 << 20;

    /// <summary>Gives a key for each line.</summary>
    public static void Lines(Stream input, KeyTaker take, Action beforeWaiting)
    {
        byte[] buffer = new byte[1 << 16];
        int filled = 0;
        while (true)
        {
            beforeWaiting();
            int count = input.Read(buffer, filled, buffer.Length - filled);
            filled += count;
            int start = 0;
            while (buffer.AsSpan(start, filled - start).IndexOf((byte)'\n') is >= 0 and int length)
            {
                take(UpToNul(buffer.AsSpan(start, length)));
                start += length + 1;
            }

            if (count == 0)
            {
                if (filled > start)
                {
                    take(UpToNul(buffer.AsSpan(start, filled - start)));
                }

                beforeWaiting();
                return;
            }

            filled -= start;
            buffer.AsSpan(start, filled).CopyTo(buffer);
            if (filled == buffer.Length)
            {
                if (filled >= MaxLine)
                {
                    throw new PostmapFailure("a line of standard input is too long");
                }

                Array.Resize(ref buffer, filled * 2);
            }
        }
    }

    /// <summary>Gives a key for each header or body line of a message.</summary>
    public static void Message(Stream input, PostmapOptions options, MailConfiguration configuration, KeyTaker take, Action beforeWaiting)
    {
        var message = new MessageKeys(options.MimeKeys, configuration, key => take(UpToNul(key)))
        {
            TakesHeaders = options.HeaderKeys,
            TakesBody = options.BodyKeys,
        };
        Lines(input, message.Line, beforeWaiting);
        message.End();
        beforeWaiting();
    }

    private static ReadOnlySpan<byte> UpToNul(ReadOnlySpan<byte> key) => key.IndexOf((byte)0) is >= 0 and int end ? key[..end] : key;
}
