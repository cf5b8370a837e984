using Postwright.Core.Tables;

namespace Postwright.Server.Deliver.Agent;

/// <summary>
/// What is in the frames by which the agent asks mail for tables on servers, in the middle of a delivery. Names, keys and values
/// are the bytes that the strings came from.
/// </summary>
internal static class TableFrames
{
    /// <summary>A question: a name and a key, each much longer than a line of main.cf and an address are.</summary>
    public const int QuestionLimit = 64 * 1024;

    /// <summary>An answer: four times what a server may answer to one query.</summary>
    public const int AnswerLimit = 4 * 1024 * 1024;

    /// <summary>A question's frame.</summary>
    public static byte[] Question(string table, string key)
    {
        FrameWriter writer = AgentFrames.Begin(FrameKind.Question);
        writer.Bytes(TableText.Encode(table));
        writer.Bytes(TableText.Encode(key));
        return writer.ToArray();
    }

    /// <summary>Reads a question.</summary>
    /// <exception cref="InvalidDataException">None of this version, or too long.</exception>
    public static (string Table, string Key) ReadQuestion(byte[] frame)
    {
        FrameReader reader = AgentFrames.Open(frame, FrameKind.Question);
        reader.Check(frame.Length <= QuestionLimit, "length");
        (string, string) question = (TableText.Decode(reader.Bytes().Span), TableText.Decode(reader.Bytes().Span));
        reader.Check(reader.IsAtEnd, "end");
        return question;
    }

    /// <summary>An answer's frame.</summary>
    public static byte[] Answer(LookupResult result)
    {
        FrameWriter writer = AgentFrames.Begin(FrameKind.Answer);
        writer.Byte((byte)result.Status);
        writer.Bytes(TableText.Encode(result.Value ?? result.Error ?? ""));
        return writer.ToArray();
    }

    /// <summary>Reads an answer.</summary>
    /// <exception cref="InvalidDataException">None of this version.</exception>
    public static LookupResult ReadAnswer(byte[] frame)
    {
        FrameReader reader = AgentFrames.Open(frame, FrameKind.Answer);
        byte status = reader.Byte();
        string text = TableText.Decode(reader.Bytes().Span);
        reader.Check(reader.IsAtEnd, "end");
        reader.Check(status <= (byte)LookupStatus.TemporaryError && (status != (byte)LookupStatus.NotFound || text.Length == 0), "status");
        return (LookupStatus)status switch
        {
            LookupStatus.Found => LookupResult.Found(text),
            LookupStatus.NotFound => LookupResult.NotFound,
            _ => LookupResult.TemporaryError(text),
        };
    }
}
