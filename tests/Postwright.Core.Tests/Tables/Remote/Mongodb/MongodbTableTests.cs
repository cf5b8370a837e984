using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Postwright.Core.Tables.Remote;
using Postwright.Core.Tables.Remote.Mongodb;
using Postwright.Testing;
using Postwright.Testing.Network;

namespace Postwright.Core.Tests.Tables.Remote.Mongodb;

/// <summary>mongodb: against a scripted peer that speaks the wire protocol; there is no MongoDB server in Debian.</summary>
public sealed class MongodbTableTests : IDisposable
{
    private readonly RemoteRig _rig = new();

    public void Dispose() => _rig.Dispose();

    [Fact]
    public async Task The_command_is_find_with_the_key_quoted_as_json()
    {
        await using TableServer server = Start(static _ => Found());
        string table = _rig.Configure("mongodb", Where(server) + "query_filter = {\"$or\": [{\"user\": \"%s\"}, {\"alias\": {\"$in\": [\"%u\"]}}], \"active\": 1}\nresult_attribute = home, mail\n");
        Assert.Equal("-", await _rig.AskAsync(table, "a\"}, x: {\"b@c"));
        Assert.Equal(
            ["find=people filter={$or=[{user=a\"}, x: {\"b@c} {alias={$in=[a\"}, x: {\"b]}}] active=1} projection={_id=0 home=1 mail=1} limit=1001 batchSize=1001 singleBatch=1 $db=mail $readPreference={mode=primaryPreferred}"],
            server.Requests);
    }

    [Fact]
    public async Task Texts_whole_numbers_and_arrays_of_them_are_values()
    {
        await using TableServer server = Start(static _ => Found(
            Bson.Document(Bson.Text("_id", "x"), Bson.Text("a", "joe@x"), Bson.Int32("b", 7), Bson.FromJson("""{"c": [1, "two", 3.5, ["deep"]], "d": {"e": "f"}, "g": null, "h": 5000000000}""")[4..^1]),
            Bson.Document(Bson.Text("a", "jim@y"))));
        Assert.Equal("joe@x,7,1,two,deep,5000000000,jim@y", await _rig.AskAsync(_rig.Configure("mongodb", Where(server) + Query), "k"));
        Assert.Contains(_rig.Log.All, static line => line.EndsWith("field d of type 3 is passed over", StringComparison.Ordinal));
        Assert.Equal("[x],[y]", await _rig.AskAsync(_rig.Configure("mongodb", Where(server) + Query + "result_format = [%d]\n"), "k"));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("mongodb", Where(server) + Query + "expansion_limit = 6\n"), "k"));
    }

    [Fact]
    public async Task Logging_in_proves_both_sides_by_scram()
    {
        ScramPeer scram = new("pencil");
        await using TableServer server = Start(request => scram.Answer(request) ?? Found(Bson.Document(Bson.Text("a", "in"))));
        string uri = $"uri = mongodb://us%40er:PASSWORD@127.0.0.1:{server.Port}/x?authSource=admin\ndbname = mail\ncollection = people\n" + Query;
        Assert.Equal("in", await _rig.AskAsync(_rig.Configure("mongodb", uri.Replace("PASSWORD", "pencil", StringComparison.Ordinal)), "k"));
        Assert.Contains(server.Requests, static request => request.StartsWith("saslStart=1 mechanism=SCRAM-SHA-256 ", StringComparison.Ordinal) && request.EndsWith("$db=admin", StringComparison.Ordinal));
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("mongodb", uri.Replace("PASSWORD", "wrongword", StringComparison.Ordinal)), "k"));
        Assert.Contains(_rig.Log.All, static line => line.Contains("log in as us@er: mongodb: Authentication failed.", StringComparison.Ordinal));
        scram.IsImpostor = true;
        Assert.Equal("!", await _rig.AskAsync(_rig.Configure("mongodb", uri.Replace("PASSWORD", "pencil", StringComparison.Ordinal)), "k"));
        Assert.Contains(_rig.Log.All, static line => line.Contains("the server does not know the password", StringComparison.Ordinal));
        Assert.DoesNotContain(_rig.Log.All, static line => line.Contains("pencil", StringComparison.Ordinal) || line.Contains("wrongword", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Down_slow_refusing_and_back_it_is_an_error_for_as_long()
    {
        byte[] answer = Found(Bson.Document(Bson.Text("a", "up")));
        await using TableServer server = Start(_ => answer);
        string table = _rig.Configure("mongodb", Where(server) + Query);
        Assert.Equal("up", await _rig.AskAsync(table, "k"));
        answer = Bson.Document(Bson.Text("errmsg", "not authorized"), Bson.Int32("ok", 0));
        Assert.Equal("!", await _rig.AskAsync(table, "k"));
        Assert.Contains(_rig.Log.All, static line => line.EndsWith("mongodb: not authorized", StringComparison.Ordinal));
        answer = Found(Bson.Document(Bson.Text("a", "up")));
        server.Hold();
        Task<string> slow = _rig.AskAsync(table, "k");
        await Until.True(() => server.Requests.Count == 3);
        _rig.Time.Advance(TimeSpan.FromSeconds(10));
        Assert.Equal("!", await slow);
        await ServerStates.BackTwiceAsync(_rig, server, table, "k", "up");
    }

    [Theory]
    [InlineData("uri = mongodb+srv://x/\n", "mongodb+srv:// is not supported")]
    [InlineData("uri = mongodb://u:hidden@x/?authMechanism=GSSAPI\n", "authMechanism is not supported")]
    [InlineData("uri = mongodb:///x\n", "uri must name a host")]
    [InlineData("uri = mongodb://x/\ndbname = d\ncollection = c\nquery_filter = {}\n", "projection or result_attribute must be set")]
    [InlineData("uri = mongodb://x/\ndbname = d\ncollection = c\nquery_filter = {}\nprojection = {\n", "projection not valid JSON")]
    public async Task Settings_that_cannot_be_used_are_errors_that_name_them(string settings, string reason)
    {
        await _rig.RefusesAsync("mongodb", settings, reason);
        Assert.DoesNotContain(_rig.Log.All, static line => line.Contains("hidden", StringComparison.Ordinal));
    }

    [Fact]
    public void Whatever_a_server_sends_or_a_filter_says_is_read_without_another_exception()
    {
        byte[] sample = Bson.FromJson("""{"a": "text", "b": [1, 2, {"c": null}], "d": true, "e": 1.5, "f": {"$oid": "0123456789abcdef01234567"}, "g": {"$numberLong": "7"}}""");
        Assert.Equal(["a", "b", "d", "e", "f", "g"], Bson.Read(sample).Select(static field => field.Name));
        string[] pieces = ["{", "}", "[", "]", "\"$oid\"", "\"a\"", ":", ",", "1e999", "9999999999999999999", "null", "\\u0000", "\"\\u0000\"", "\"\\ud800\"", "true", "-"];
        FuzzTime fuzz = new(100_000);
        for (int seed = 1; fuzz.Includes(seed); seed++)
        {
            Random random = new(seed);
            byte[] bytes = [.. sample];
            for (int i = random.Next(1, 5); i > 0; i--)
            {
                bytes[random.Next(4, bytes.Length)] = (byte)random.Next(random.Next(2) == 0 ? 20 : 256);
            }

            string json = "{\"a\":" + string.Concat(Enumerable.Range(0, random.Next(8)).Select(_ => pieces[random.Next(pieces.Length)])) + "}";
            foreach (Action action in (Action[])
                [
                    () => MongodbTable.AddValues(bytes, [], static _ => { }),
                    () => Bson.Read(bytes.AsMemory(0, random.Next(bytes.Length))),
                    () => MongodbConnection.ParseHead(bytes.AsSpan(0, 21), 1),
                    () => Bson.FromJson(json),
                ])
            {
                try
                {
                    action();
                }
                catch (RemoteFailure)
                {
                }
                catch (Exception failure)
                {
                    throw new InvalidOperationException($"seed {seed}: {json}", failure);
                }
            }
        }
    }

    private const string Query = "query_filter = {\"user\": \"%s\"}\nprojection = {\"a\": 1}\n";

    private static string Where(TableServer server) => $"uri = mongodb://127.0.0.1:{server.Port}/\ndbname = mail\ncollection = people\n";

    private static byte[] Found(params byte[][] documents)
    {
        byte[] batch = Bson.Document([.. documents.Select(static (document, i) => Bson.Nested($"{i}", document))]);
        byte[] array = Bson.Nested("firstBatch", batch);
        array[0] = BsonField.ArrayType;
        return Bson.Document(Bson.Nested("cursor", Bson.Document(array, Bson.Text("ns", "mail.people"))), Bson.FromJson("""{"ok": 1.5}""")[4..^1] is { } ok ? One(ok) : []);
    }

    /// <summary>A real server says <c>ok: 1.0</c>, a double, which JSON text cannot say.</summary>
    private static byte[] One(byte[] field)
    {
        BinaryPrimitives.WriteDoubleLittleEndian(field.AsSpan(field.Length - 8), 1.0);
        return field;
    }

    private static TableServer Start(Func<List<BsonField>, byte[]> answer) => new(async (stream, server) =>
    {
        byte[] head = new byte[21];
        while (true)
        {
            await stream.ReadExactlyAsync(head);
            byte[] document = new byte[BinaryPrimitives.ReadInt32LittleEndian(head) - 21];
            await stream.ReadExactlyAsync(document);
            List<BsonField> command = Bson.Read(document);
            await server.NoteAsync(string.Join(' ', command.Select(Show)));
            byte[] reply = answer(command);
            byte[] message = new byte[21 + reply.Length];
            BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
            head.AsSpan(4, 4).CopyTo(message.AsSpan(8));
            BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(12), 2013);
            reply.CopyTo(message, 21);
            await stream.WriteAsync(message);
        }
    });

    private static string Show(BsonField field) => $"{field.Name}={Value(field)}";

    private static string Value(BsonField field) => field.Type switch
    {
        BsonField.DocumentType => "{" + string.Join(' ', Bson.Read(field.Value).Select(Show)) + "}",
        BsonField.ArrayType => "[" + string.Join(' ', Bson.Read(field.Value).Select(Value)) + "]",
        BsonField.BinaryType => "...",
        _ => field.Text ?? $"{field.Number}",
    };

    /// <summary>The server's side of SCRAM-SHA-256.</summary>
    private sealed class ScramPeer(string password)
    {
        private string _first = "";
        private string _challenge = "";

        public bool IsImpostor { get; set; }

        public byte[]? Answer(List<BsonField> command)
        {
            string payload = Encoding.UTF8.GetString(command.FirstOrDefault(static field => field.Name == "payload").Value.Span);
            switch (command[0].Name)
            {
                case "saslStart":
                    _first = payload["n,,".Length..];
                    Assert.StartsWith("n=us@er,r=", _first, StringComparison.Ordinal);
                    _challenge = $"{_first[_first.IndexOf("r=", StringComparison.Ordinal)..]}more,s={Convert.ToBase64String("salt"u8)},i=4096";
                    return Reply(_challenge);
                case "saslContinue":
                    byte[] salted = Rfc2898DeriveBytes.Pbkdf2(Encoding.UTF8.GetBytes(password), "salt"u8, 4096, HashAlgorithmName.SHA256, 32);
                    byte[] message = Encoding.UTF8.GetBytes($"{_first},{_challenge},{payload[..payload.IndexOf(",p=", StringComparison.Ordinal)]}");
                    byte[] key = HMACSHA256.HashData(salted, "Client Key"u8);
                    byte[] signature = HMACSHA256.HashData(SHA256.HashData(key), message);
                    byte[] proof = Convert.FromBase64String(payload[(payload.IndexOf(",p=", StringComparison.Ordinal) + 3)..]);
                    return !key.SequenceEqual(proof.Zip(signature, static (a, b) => (byte)(a ^ b)))
                        ? Bson.Document(Bson.Text("errmsg", "Authentication failed."), Bson.Int32("ok", 0))
                        : Reply("v=" + Convert.ToBase64String(HMACSHA256.HashData(HMACSHA256.HashData(salted, IsImpostor ? "x"u8 : "Server Key"u8), message)));
                default:
                    return null;
            }
        }

        private static byte[] Reply(string payload) => Bson.Document(
            Bson.Int32("conversationId", 1), Bson.Bool("done", false), Bson.Binary("payload", Encoding.UTF8.GetBytes(payload)), Bson.Int32("ok", 1));
    }
}
