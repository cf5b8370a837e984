using System.Text;

namespace Postwright.Testing.Network;

/// <summary>Speaks HTTP/1.1 for a <see cref="TableServer"/>: requests without content, and connections that stay.</summary>
public static class HttpServer
{
    /// <summary>Starts a server.</summary>
    /// <param name="answer">Gives the status line's end and the content for a request's head.</param>
    public static TableServer Start(Func<string, (string Status, string Body)> answer) => new((stream, server) => ServeAsync(stream, server, answer));

    /// <summary>Serves a connection that is there already, as one in TLS.</summary>
    public static async Task ServeAsync(Stream stream, TableServer server, Func<string, (string Status, string Body)> answer)
    {
        byte[] buffer = new byte[16 * 1024];
        while (true)
        {
            int length = 0;
            while (!buffer.AsSpan(0, length).EndsWith("\r\n\r\n"u8))
            {
                int count = await stream.ReadAsync(buffer.AsMemory(length));
                if (count == 0)
                {
                    return;
                }

                length += count;
            }

            string request = Encoding.ASCII.GetString(buffer, 0, length);
            await server.NoteAsync(request);
            (string status, string body) = answer(request);
            byte[] bytes = Encoding.UTF8.GetBytes(body);
            await stream.WriteAsync((byte[])[.. Encoding.ASCII.GetBytes($"HTTP/1.1 {status}\r\nContent-Length: {bytes.Length}\r\n\r\n"), .. bytes]);
        }
    }
}
