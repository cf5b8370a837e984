using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Postwright.Core.Tables.Remote.Mongodb;

// BSON (bsonspec.org), as far as a lookup needs it: written from JSON, with the few forms of Extended JSON that a filter uses
// ($oid, $numberInt, $numberLong, $numberDouble); read field by field, every length checked against what is there.

/// <summary>A field of a BSON document.</summary>
/// <param name="Type">BSON's number of the type.</param>
/// <param name="Name">The name.</param>
/// <param name="Value">The value's bytes; for a document or an array the whole of it, for a text the text.</param>
internal readonly record struct BsonField(byte Type, string Name, ReadOnlyMemory<byte> Value)
{
    public const byte DoubleType = 1;
    public const byte TextType = 2;
    public const byte DocumentType = 3;
    public const byte ArrayType = 4;
    public const byte BinaryType = 5;
    public const byte IdType = 7;
    public const byte BoolType = 8;
    public const byte NullType = 10;
    public const byte Int32Type = 16;
    public const byte Int64Type = 18;

    /// <summary>A number of any of its types, or null.</summary>
    public double? Number => Type switch
    {
        DoubleType => BinaryPrimitives.ReadDoubleLittleEndian(Value.Span),
        Int32Type => BinaryPrimitives.ReadInt32LittleEndian(Value.Span),
        Int64Type => BinaryPrimitives.ReadInt64LittleEndian(Value.Span),
        BoolType => Value.Span[0],
        _ => null,
    };

    /// <summary>A text or a whole number as text, or null.</summary>
    public string? Text => Type switch
    {
        TextType => TableText.Decode(Value.Span),
        Int32Type => BinaryPrimitives.ReadInt32LittleEndian(Value.Span).ToString(CultureInfo.InvariantCulture),
        Int64Type => BinaryPrimitives.ReadInt64LittleEndian(Value.Span).ToString(CultureInfo.InvariantCulture),
        _ => null,
    };
}

/// <summary>Reads and writes BSON documents.</summary>
internal static class Bson
{
    /// <summary>Documents within documents.</summary>
    private const int MaxDepth = 64;

    /// <summary>The fields of a document.</summary>
    /// <exception cref="RemoteFailure">It is malformed.</exception>
    public static List<BsonField> Read(ReadOnlyMemory<byte> document)
    {
        ReadOnlySpan<byte> bytes = document.Span;
        if (bytes.Length < 5 || BinaryPrimitives.ReadInt32LittleEndian(bytes) != bytes.Length || bytes[^1] != 0)
        {
            throw Malformed();
        }

        var fields = new List<BsonField>();
        int at = 4;
        while (at < bytes.Length - 1)
        {
            byte type = bytes[at++];
            int end = bytes[at..^1].IndexOf((byte)0);
            if (end < 0)
            {
                throw Malformed();
            }

            string name = TableText.Decode(bytes.Slice(at, end));
            at += end + 1;
            (int skip, int length, int after) = Extent(type, bytes[at..^1]);
            if (length < 0 || (long)skip + length + after > bytes.Length - 1 - at)
            {
                throw Malformed();
            }

            fields.Add(new BsonField(type, name, document.Slice(at + skip, length)));
            at += skip + length + after;
        }

        return fields;
    }

    /// <summary>A document from JSON text.</summary>
    /// <exception cref="RemoteFailure">It is no JSON object.</exception>
    public static byte[] FromJson(string json)
    {
        try
        {
            using var parsed = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = MaxDepth });
            return parsed.RootElement.ValueKind == JsonValueKind.Object
                ? FromObject(parsed.RootElement)
                : throw new RemoteFailure($"not a JSON object: {json}", hostIsWell: true);
        }
        catch (Exception failure) when (failure is JsonException or InvalidOperationException)
        {
            throw new RemoteFailure($"not valid JSON: {json}", hostIsWell: true);
        }
    }

    /// <summary>A document of fields that are already encoded.</summary>
    public static byte[] Document(params ReadOnlySpan<byte[]> fields)
    {
        int length = 5;
        foreach (byte[] field in fields)
        {
            length += field.Length;
        }

        byte[] document = new byte[length];
        BinaryPrimitives.WriteInt32LittleEndian(document, length);
        int at = 4;
        foreach (byte[] field in fields)
        {
            field.CopyTo(document, at);
            at += field.Length;
        }

        return document;
    }

    public static byte[] Text(string name, string value)
    {
        byte[] text = TableText.Encode(value);
        return [.. Head(BsonField.TextType, name), .. Int(text.Length + 1), .. text, 0];
    }

    public static byte[] Int32(string name, int value) => [.. Head(BsonField.Int32Type, name), .. Int(value)];

    public static byte[] Bool(string name, bool value) => [.. Head(BsonField.BoolType, name), (byte)(value ? 1 : 0)];

    public static byte[] Nested(string name, byte[] document) => [.. Head(BsonField.DocumentType, name), .. document];

    public static byte[] Binary(string name, byte[] value) => [.. Head(BsonField.BinaryType, name), .. Int(value.Length), 0, .. value];

    /// <summary>What stands before a value, how long it is, and what stands after it.</summary>
    private static (int Skip, int Length, int After) Extent(byte type, ReadOnlySpan<byte> bytes)
    {
        int first = bytes.Length >= 4 ? BinaryPrimitives.ReadInt32LittleEndian(bytes) : -1;
        return type switch
        {
            BsonField.DoubleType or BsonField.Int64Type or 9 or 17 => (0, 8, 0),
            BsonField.TextType or 13 or 14 => first < 1 ? (0, -1, 0) : (4, first - 1, 1),
            BsonField.DocumentType or BsonField.ArrayType => (0, first, 0),
            BsonField.BinaryType => first < 0 ? (0, -1, 0) : (5, first, 0),
            BsonField.IdType => (0, 12, 0),
            BsonField.BoolType => (0, 1, 0),
            BsonField.NullType or 6 or 0xff or 0x7f => (0, 0, 0),
            11 => (0, Expression(bytes), 0),
            BsonField.Int32Type => (0, 4, 0),
            19 => (0, 16, 0),
            _ => (0, -1, 0),
        };
    }

    /// <summary>A regular expression: two texts that end with a zero.</summary>
    private static int Expression(ReadOnlySpan<byte> bytes)
    {
        int first = bytes.IndexOf((byte)0);
        int second = first < 0 ? -1 : bytes[(first + 1)..].IndexOf((byte)0);
        return second < 0 ? -1 : first + second + 2;
    }

    private static byte[] FromObject(JsonElement element) =>
        Document([.. element.EnumerateObject().Select(static property => Field(property.Name, property.Value))]);

    private static byte[] Field(string name, JsonElement value)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                return Text(name, value.GetString()!);
            case JsonValueKind.True or JsonValueKind.False:
                return Bool(name, value.GetBoolean());
            case JsonValueKind.Null:
                return Head(BsonField.NullType, name);
            case JsonValueKind.Number:
                return Number(name, value);
            case JsonValueKind.Array:
                return [.. Head(BsonField.ArrayType, name),
                    .. Document([.. value.EnumerateArray().Select(static (item, i) => Field(i.ToString(CultureInfo.InvariantCulture), item))])];
            default:
                return Extended(name, value) ?? Nested(name, FromObject(value));
        }
    }

    private static byte[] Number(string name, JsonElement value) =>
        value.TryGetInt32(out int small) ? Int32(name, small)
        : value.TryGetInt64(out long large) ? [.. Head(BsonField.Int64Type, name), .. Long(large)]
        : [.. Head(BsonField.DoubleType, name), .. Long(BitConverter.DoubleToInt64Bits(value.GetDouble()))];

    private static byte[]? Extended(string name, JsonElement value)
    {
        JsonProperty[] properties = [.. value.EnumerateObject().Take(2)];
        if (properties is not [{ Value.ValueKind: JsonValueKind.String } only])
        {
            return null;
        }

        string text = only.Value.GetString()!;
        return only.Name switch
        {
            "$oid" when text.Length == 24 && text.All(char.IsAsciiHexDigit) => [.. Head(BsonField.IdType, name), .. Convert.FromHexString(text)],
            "$numberInt" when int.TryParse(text, CultureInfo.InvariantCulture, out int number) => Int32(name, number),
            "$numberLong" when long.TryParse(text, CultureInfo.InvariantCulture, out long number) => [.. Head(BsonField.Int64Type, name), .. Long(number)],
            "$numberDouble" when double.TryParse(text, CultureInfo.InvariantCulture, out double number) =>
                [.. Head(BsonField.DoubleType, name), .. Long(BitConverter.DoubleToInt64Bits(number))],
            _ => null,
        };
    }

    private static byte[] Head(byte type, string name) => name.Contains('\0', StringComparison.Ordinal)
        ? throw new RemoteFailure("a name with a NUL", hostIsWell: true)
        : [type, .. Encoding.UTF8.GetBytes(name), 0];

    private static byte[] Int(int value)
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, value);
        return bytes;
    }

    private static byte[] Long(long value)
    {
        byte[] bytes = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, value);
        return bytes;
    }

    private static RemoteFailure Malformed() => new("malformed BSON document");
}
