using System.Net.Sockets;
using System.Text;
using Postwright.Testing;
using Postwright.Testing.Network;

namespace Postwright.Core.Tests.Tables.Remote;

/// <summary>
/// Whole sessions, from the first byte, with servers that say anything: messages of the protocol's own form in any order, with any
/// content, until they hang up. Each lookup ends, as an answer or as a temporary error.
/// </summary>
public sealed class SessionFuzzTests : IDisposable
{
    private readonly RemoteRig _rig = new();

    public static TheoryData<string, string> Tables => new()
    {
        { "pgsql", "hosts = 127.0.0.1:PORT\nuser = u\npassword = p\ndbname = d\nquery = SELECT '%s'\n" },
        { "mysql", "hosts = inet:127.0.0.1:PORT\nuser = u\npassword = p\ndbname = d\nquery = SELECT '%s'\n" },
        { "ldap", "server_host = ldap://127.0.0.1:PORT\nversion = 3\nsearch_base = dc=x\nquery_filter = uid=%s\nresult_attribute = uid\n" },
        { "mongodb", "uri = mongodb://127.0.0.1:PORT\ndbname = d\ncollection = c\nquery_filter = {\"a\": \"%s\"}\nresult_attribute = b\n" },
        { "redis", "hosts = 127.0.0.1:PORT\npassword = p\ndbname = 1\n" },
        { "memcache", "memcache = inet:127.0.0.1:PORT\nmax_try = 1\n" },
        { "http", "url = http://127.0.0.1:PORT/%s\nformat = json\n" },
        { "tcp", "" },
        { "socketmap", "" },
    };

    [Theory]
    [MemberData(nameof(Tables))]
    public async Task Whatever_a_server_says_in_a_session_the_lookup_ends(string type, string settings)
    {
        byte[] says = [];
        await using TableServer server = new(async (stream, _) =>
        {
            await stream.WriteAsync(says);
            ((NetworkStream)stream).Socket.Shutdown(SocketShutdown.Send);
            await stream.CopyToAsync(Stream.Null);
        });
        FuzzTime time = new(250);
        int refused = 0;
        for (int seed = 1; time.Includes(seed); seed++)
        {
            var random = new Random(seed);
            says = [.. Enumerable.Range(0, random.Next(1, 12)).SelectMany(i => Message(type, i, random))];
            string table = type switch
            {
                // Other options are another table: none is left alone for what the one before it did.
                "tcp" => $"tcp:127.0.0.1:{server.Port}{{connections={(seed % 900) + 1}}}",
                "socketmap" => $"socketmap:inet:127.0.0.1:{server.Port}:map{seed}",
                _ => _rig.Configure(type, settings.Replace("PORT", $"{server.Port}", StringComparison.Ordinal)),
            };
            try
            {
                refused += await _rig.AskAsync(table, "key") == "!" ? 1 : 0;
            }
            catch (Exception failure)
            {
                throw new InvalidOperationException($"seed {seed}", failure);
            }
        }

        Assert.NotEqual(0, refused);
        Assert.NotEqual(0, server.Connections);
    }

    public void Dispose() => _rig.Dispose();

    private static byte[] Message(string type, int number, Random random)
    {
        byte[] content = new byte[random.Next(random.Next(4) == 0 ? 300 : 24)];
        random.NextBytes(content);
        for (int i = 0; i < content.Length; i++)
        {
            content[i] = random.Next(3) == 0 ? (byte)random.Next(12) : content[i];
        }

        switch (type)
        {
            case "pgsql":
                byte kind = "RZESKNTDCIAv"u8[random.Next(12)];
                byte[] method = [0, 0, 0, (byte)(random.Next(4) switch { 0 => 10, 1 => 11, 2 => 12, _ => random.Next(8) })];
                byte[] text = Encoding.ASCII.GetBytes(Pick(random, "SCRAM-SHA-256\0\0", "r=a,s=YQ==,i=1", "r=,s=!,i=99999999999", "v=YQ==", "v=", "e=no", "standard_conforming_strings\0on\0", "SFATAL\0Mno\0\0", ""));
                byte[] body = kind == (byte)'R' && random.Next(4) > 0 ? [.. method, .. random.Next(2) == 0 ? text : content] : random.Next(3) == 0 ? text : content;
                int length = random.Next(20) == 0 ? random.Next() : body.Length + 4;
                return [kind, (byte)(length >> 24), (byte)(length >> 16), (byte)(length >> 8), (byte)length, .. body];
            case "mysql":
                byte[] packet = number == 0 && random.Next(8) > 0
                    ? [10, .. "8.0\0"u8, 1, 0, 0, 0, .. "abcdefgh"u8, 0, 0xff, 0xf7, 45, 2, 0, 0xff, 0x81, 21, .. new byte[10], .. "ijklmnopqrst"u8, 0, .. Encoding.ASCII.GetBytes(Pick(random, "mysql_native_password\0", "caching_sha2_password\0", "x", "")), .. content[..random.Next(Math.Min(2, content.Length + 1))]]
                    : [Pick<byte>(random, 0, 0xff, 0xfe, 1, 2, 3, 4, 0xfb, 0xfc), .. content];
                return [(byte)packet.Length, (byte)(packet.Length >> 8), 0, (byte)(random.Next(20) == 0 ? random.Next(256) : number), .. packet];
            case "ldap":
                byte[] operation = [Pick<byte>(random, 0x61, 0x64, 0x65, 0x73, 0x78, 0x60), (byte)Math.Min(content.Length, 127), .. content[..Math.Min(content.Length, 127)]];
                byte[] success = [Pick<byte>(random, 0x61, 0x65), 7, 10, 1, (byte)random.Next(2), 4, 0, 4, 0];
                byte[] inner = [2, 1, (byte)random.Next(4), .. random.Next(2) == 0 ? success : operation];
                return [0x30, (byte)(random.Next(10) == 0 ? random.Next(256) : Math.Min(inner.Length, 127)), .. inner];
            case "mongodb":
                int size = random.Next(10) == 0 ? random.Next() : content.Length + 21;
                return [.. BitConverter.GetBytes(size), .. BitConverter.GetBytes(random.Next(4)), .. BitConverter.GetBytes(random.Next(4)), .. BitConverter.GetBytes(2013), 0, 0, 0, 0, 0, .. content];
            default:
                return Encoding.Latin1.GetBytes(string.Concat(Enumerable.Range(0, random.Next(1, 6)).Select(_ => Pick(
                    random, "+OK\r\n", "-ERR no\r\n", ":7\r\n", "$3\r\nabc\r\n", "$-1\r\n", "$99999999999\r\n", "*2\r\n", "VALUE key 0 3\r\nabc\r\n", "VALUE key 0 9\r\n", "END\r\n", "ERROR\r\n",
                    "HTTP/1.1 200 OK\r\n", "HTTP/1.1 302 Found\r\nLocation: /x\r\n", "Content-Length: 15\r\n", "Content-Length: -1\r\n", "Transfer-Encoding: chunked\r\n", "\r\n", "{\"result\": \"x\"}", "f\r\n", "0\r\n\r\n",
                    "200 %41\n", "500 none\n", "400 later\n", "200 %4\n", "5:OK abc,", "9:NOTFOUND ,", "99999:OK", "3:OK", "\0", Encoding.Latin1.GetString(content)))));
        }
    }

    private static T Pick<T>(Random random, params T[] choices) => choices[random.Next(choices.Length)];
}
