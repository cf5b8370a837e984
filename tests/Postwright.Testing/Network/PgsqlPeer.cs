using System.Buffers.Binary;
using System.Text;

namespace Postwright.Testing.Network;

/// <summary>As much of a PostgreSQL server as a test of something else needs: no password, and one row with one field for every query.</summary>
public static class PgsqlPeer
{
    /// <summary>Starts a server whose answer to a query is what <paramref name="value"/> says; null for no row.</summary>
    public static TableServer Start(Func<string, string?> value) => new(async (stream, server) =>
    {
        // The question for TLS, then the start with the user.
        await ReadAsync(stream, 0);
        await stream.WriteAsync("N"u8.ToArray());
        await ReadAsync(stream, 0);
        await WriteAsync(stream, 'R', [0, 0, 0, 0]);
        await WriteAsync(stream, 'Z', "I"u8.ToArray());
        while (true)
        {
            string query = Encoding.UTF8.GetString(await ReadAsync(stream, 1)).TrimEnd('\0');
            await server.NoteAsync(query);
            await WriteAsync(stream, 'T', [0, 0]);
            if (value(query) is { } text)
            {
                byte[] bytes = Encoding.UTF8.GetBytes(text);
                await WriteAsync(stream, 'D', [0, 1, 0, 0, (byte)(bytes.Length >> 8), (byte)bytes.Length, .. bytes]);
            }

            await WriteAsync(stream, 'C', "SELECT\0"u8.ToArray());
            await WriteAsync(stream, 'Z', "I"u8.ToArray());
        }
    });

    private static async Task<byte[]> ReadAsync(Stream stream, int kind)
    {
        byte[] head = new byte[kind + 4];
        await stream.ReadExactlyAsync(head);
        byte[] content = new byte[BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(kind)) - 4];
        await stream.ReadExactlyAsync(content);
        return content;
    }

    private static async Task WriteAsync(Stream stream, char kind, byte[] content)
    {
        byte[] message = new byte[5 + content.Length];
        message[0] = (byte)kind;
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(1), 4 + content.Length);
        content.CopyTo(message, 5);
        await stream.WriteAsync(message);
    }
}
