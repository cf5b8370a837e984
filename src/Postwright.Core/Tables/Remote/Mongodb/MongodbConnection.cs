using System.Buffers.Binary;
using System.Text;
using Postwright.Core.Seams;

namespace Postwright.Core.Tables.Remote.Mongodb;

// MongoDB's wire protocol: OP_MSG with one document each way (MongoDB 3.6 and later). A message is a header of four numbers
// (length, number, number of the question, 2013), flags, a zero, and the document.

/// <summary>A connection to a MongoDB server that is ready for a command.</summary>
internal sealed class MongodbConnection : RemoteConnection
{
    private const int MessageKind = 2013;
    private const int HeadLength = 21;
    private const int MaxMessage = 1 << 20;

    private int _number;

    private MongodbConnection(RemoteStream stream)
        : base(stream)
    {
    }

    /// <summary>Connects and logs in.</summary>
    /// <exception cref="RemoteFailure">It does not work.</exception>
    public static async ValueTask<MongodbConnection> ConnectAsync(RemoteEndpoint endpoint, MongodbUri uri, IChance chance, CancellationToken cancellationToken)
    {
        RemoteStream stream = await RemoteStream.ConnectAsync(endpoint, cancellationToken);
        try
        {
            if (uri.Tls is not null)
            {
                await stream.StartTlsAsync(uri.Tls.For(endpoint.Host), cancellationToken);
            }

            var connection = new MongodbConnection(stream);
            if (uri.User.Length > 0)
            {
                await connection.LogInAsync(uri, chance, cancellationToken);
            }

            return connection;
        }
        catch
        {
            stream.Dispose();
            throw;
        }
    }

    /// <summary>Sends a command and reads its answer's fields.</summary>
    /// <exception cref="RemoteFailure">The server refuses, or says what is no answer.</exception>
    public async ValueTask<List<BsonField>> RunAsync(byte[] command, CancellationToken cancellationToken)
    {
        byte[] message = new byte[HeadLength + command.Length];
        BinaryPrimitives.WriteInt32LittleEndian(message, message.Length);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(4), ++_number);
        BinaryPrimitives.WriteInt32LittleEndian(message.AsSpan(12), MessageKind);
        command.CopyTo(message, HeadLength);
        await Stream.WriteAsync(message, cancellationToken);
        int length = ParseHead((await Stream.ReadAsync(HeadLength, cancellationToken)).Span, _number);

        // The buffer is used again for the next message; the fields are kept.
        List<BsonField> answer = Bson.Read((await Stream.ReadAsync(length, cancellationToken)).ToArray());
        double? ok = answer.FirstOrDefault(static field => field.Name == "ok").Number;
        return ok == 1 ? answer : throw new RemoteFailure($"mongodb: {answer.FirstOrDefault(static field => field.Name == "errmsg").Text ?? "the command failed"}", usable: true);
    }

    /// <summary>The length of the document after a message's head.</summary>
    /// <exception cref="RemoteFailure">It is no answer to that question, or a large one.</exception>
    internal static int ParseHead(ReadOnlySpan<byte> head, int number)
    {
        int length = BinaryPrimitives.ReadInt32LittleEndian(head) - HeadLength;
        if (length < 5 || BinaryPrimitives.ReadInt32LittleEndian(head[8..]) != number || BinaryPrimitives.ReadInt32LittleEndian(head[12..]) != MessageKind
            || BinaryPrimitives.ReadInt32LittleEndian(head[16..]) != 0 || head[20] != 0)
        {
            throw new RemoteFailure("malformed MongoDB message");
        }

        return length <= MaxMessage ? length : throw new RemoteFailure($"the answer has more than {MaxMessage} bytes", hostIsWell: true);
    }

    private async ValueTask LogInAsync(MongodbUri uri, IChance chance, CancellationToken cancellationToken)
    {
        try
        {
            var scram = new ScramClient(uri.User, uri.Password, chance);
            byte[] database = Bson.Text("$db", uri.AuthenticationDatabase);
            (byte[] conversation, string reply) = Step(await RunAsync(
                Bson.Document(
                    Bson.Int32("saslStart", 1), Bson.Text("mechanism", "SCRAM-SHA-256"), Bson.Binary("payload", Encoding.UTF8.GetBytes(scram.First)),
                    Bson.Nested("options", Bson.Document(Bson.Bool("skipEmptyExchange", true))), database),
                cancellationToken));
            (conversation, reply) = Step(await RunAsync(
                Bson.Document(Bson.Int32("saslContinue", 1), conversation, Bson.Binary("payload", Encoding.UTF8.GetBytes(scram.Final(reply))), database),
                cancellationToken));
            scram.Verify(reply);
        }
        catch (RemoteFailure refusal) when (refusal.ConnectionIsUsable)
        {
            throw new RemoteFailure($"log in as {uri.User}: {refusal.Message}");
        }
    }

    private static (byte[] Conversation, string Reply) Step(List<BsonField> answer)
    {
        BsonField payload = answer.FirstOrDefault(static field => field.Name == "payload" && field.Type == BsonField.BinaryType);
        BsonField conversation = answer.FirstOrDefault(static field => field.Name == "conversationId" && field.Type == BsonField.Int32Type);
        return payload.Name is null || conversation.Name is null
            ? throw new RemoteFailure("malformed answer to log in")
            : (Bson.Int32("conversationId", (int)conversation.Number!.Value), Encoding.UTF8.GetString(payload.Value.Span));
    }
}
