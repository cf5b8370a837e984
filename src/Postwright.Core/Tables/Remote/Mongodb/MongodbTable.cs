using System.Text.Json;

namespace Postwright.Core.Tables.Remote.Mongodb;

// mongodb_table(5) of Postfix 3.9. The filter is JSON into which parts of the key go, quoted as JSON texts; what is found is
// every text, whole number, and array of these, in the fields that the projection or result_attribute leave, apart from _id.

/// <summary><c>mongodb:/file</c>.</summary>
internal sealed class MongodbTable : DatabaseTable
{
    /// <summary>Documents of one answer; more are an error rather than a part of the answer.</summary>
    private const int MaxDocuments = 1000;

    private const int MaxDepth = 16;

    private static readonly TimeSpan DefaultTimeout = TimeSpan.FromSeconds(10);

    private readonly RemotePool<MongodbConnection> _pool;
    private readonly string _filter;
    private readonly byte[] _projection;
    private readonly byte[] _collection;
    private readonly byte[] _database;

    private MongodbTable(RemoteTableSource source, TableConfigurationFile settings, MongodbUri uri)
        : base(source, settings, settings.Find("timeout") is null ? DefaultTimeout : settings.GetTime("timeout", 10))
    {
        _filter = Templates.Add(settings.Require("query_filter"), isQuery: true);
        _collection = Bson.Text("find", settings.Require("collection"));
        _database = Bson.Text("$db", settings.Require("dbname"));
        _projection = Projection(settings);
        _pool = new RemotePool<MongodbConnection>(
            new RemotePoolOptions { Hosts = uri.Hosts, Connections = source.Options.Connections, ConnectTime = Timeout / uri.Hosts.Count },
            (endpoint, token) => MongodbConnection.ConnectAsync(endpoint, uri, source.Chance, token),
            source.Time,
            source.Chance);
    }

    public static ILookupTable Open(RemoteTableSource source)
    {
        TableConfigurationFile settings = TableConfigurationFile.Open(source);
        return new MongodbTable(source, settings, MongodbUri.Parse(settings.Require("uri")));
    }

    /// <summary>The values in a document's fields.</summary>
    /// <param name="document">The document.</param>
    /// <param name="values">Takes them.</param>
    /// <param name="warn">Told of fields that hold something else.</param>
    /// <exception cref="RemoteFailure">It is malformed.</exception>
    internal static void AddValues(ReadOnlyMemory<byte> document, List<string?> values, Action<string> warn) =>
        Add(Bson.Read(document).Where(static field => field.Name != "_id"), values, warn, 0);

    protected override ValueTask<LookupResult> FindAsync(string key, CancellationToken deadline)
    {
        byte[] command = Bson.Document(
            _collection,
            Bson.Nested("filter", Bson.FromJson(Templates.Query(_filter, key, static part => JsonEncodedText.Encode(part).ToString()))),
            _projection,
            Bson.Int32("limit", MaxDocuments + 1),
            Bson.Int32("batchSize", MaxDocuments + 1),
            Bson.Bool("singleBatch", true),
            _database,
            Bson.Nested("$readPreference", Bson.Document(Bson.Text("mode", "primaryPreferred"))));
        return _pool.RunAsync(async (connection, token) => Join(key, Values(await connection.RunAsync(command, token))), deadline);
    }

    protected override void Close() => _pool.Dispose();

    private List<string?> Values(List<BsonField> answer)
    {
        BsonField cursor = answer.FirstOrDefault(static field => field.Name == "cursor" && field.Type == BsonField.DocumentType);
        BsonField batch = cursor.Name is null ? default
            : Bson.Read(cursor.Value).FirstOrDefault(static field => field.Name == "firstBatch" && field.Type == BsonField.ArrayType);
        if (batch.Name is null)
        {
            throw new RemoteFailure("malformed answer to find");
        }

        var values = new List<string?>();
        List<BsonField> documents = Bson.Read(batch.Value);
        if (documents.Count > MaxDocuments)
        {
            throw new RemoteFailure($"more than {MaxDocuments} documents", usable: true);
        }

        foreach (BsonField document in documents.Where(static field => field.Type == BsonField.DocumentType))
        {
            AddValues(document.Value, values, text => Source.Log.Warning($"{Name}: {text}"));
        }

        return values;
    }

    private static void Add(IEnumerable<BsonField> fields, List<string?> values, Action<string> warn, int depth)
    {
        foreach (BsonField field in fields)
        {
            if (field.Text is { } text)
            {
                values.Add(text);
            }
            else if (field.Type == BsonField.ArrayType && depth < MaxDepth)
            {
                Add(Bson.Read(field.Value), values, warn, depth + 1);
            }
            else
            {
                warn($"field {field.Name} of type {field.Type} is passed over");
            }
        }
    }

    private static byte[] Projection(TableConfigurationFile settings)
    {
        string projection = settings.Get("projection", "");
        string[] attributes = settings.GetWords("result_attribute");
        if ((projection.Length > 0) == (attributes.Length > 0))
        {
            throw settings.Wrong("projection", "or result_attribute must be set, and not both");
        }

        try
        {
            return Bson.Nested("projection", projection.Length > 0
                ? Bson.FromJson(projection)
                : Bson.Document([Bson.Int32("_id", 0), .. attributes.Select(static name => Bson.Int32(name, 1))]));
        }
        catch (RemoteFailure failure)
        {
            throw settings.Wrong("projection", failure.Message);
        }
    }
}
