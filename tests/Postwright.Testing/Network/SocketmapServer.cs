using System.Text;

namespace Postwright.Testing.Network;

/// <summary>Speaks the socketmap protocol for a <see cref="TableServer"/>.</summary>
public static class SocketmapServer
{
    /// <summary>Starts a server whose reply to <c>name key</c> is what <paramref name="reply"/> says.</summary>
    public static TableServer Start(Func<string, string> reply, string? path = null) => new(
        async (stream, server) =>
        {
            while (true)
            {
                string request = await ReadAsync(stream);
                await server.NoteAsync(request);
                byte[] bytes = Encoding.UTF8.GetBytes(reply(request));
                await stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes($"{bytes.Length}:"), .. bytes, (byte)',']);
            }
        },
        path);

    private static async Task<string> ReadAsync(Stream stream)
    {
        byte[] one = new byte[1];
        int length = 0;
        while (true)
        {
            await stream.ReadExactlyAsync(one);
            if (one[0] == ':')
            {
                break;
            }

            length = length * 10 + one[0] - '0';
        }

        byte[] content = new byte[length + 1];
        await stream.ReadExactlyAsync(content);
        return Encoding.UTF8.GetString(content.AsSpan(0, length));
    }
}
