namespace Postwright.Server.Queue.Spool;

/// <summary>
/// Goes through the items of a record that is read back. The envelope, which is most of a record, is passed over unless it is
/// asked for while it is the item at hand. Inline content ends the record.
/// </summary>
internal ref struct RecordItems(ReadOnlySpan<byte> body)
{
    private RecordReader _reader = new(body);
    private bool _atEnvelope;
    private bool _unknown;

    /// <summary>The kind of the item at hand.</summary>
    public RecordItem Kind { get; private set; }

    /// <summary>From the last <see cref="RecordItem.Summary"/>.</summary>
    public MessageSummary Summary { get; private set; }

    /// <summary>At <see cref="RecordItem.Status"/>.</summary>
    public MessageStatus? Status { get; private set; }

    /// <summary>At <see cref="RecordItem.Deferred"/> and <see cref="RecordItem.Status"/>.</summary>
    public RecipientDelay[]? Delays { get; private set; }

    /// <summary>At <see cref="RecordItem.Expanded"/>: the index of the first recipient, and all.</summary>
    public (int FirstIndex, EnvelopeRecipient[] Into) Expanded { get; private set; }

    /// <summary>True once something did not fit, or was of no known kind; nothing follows then.</summary>
    public readonly bool Failed => _unknown || _reader.Failed;

    /// <summary>Goes to the next item; false at the end.</summary>
    public bool Next()
    {
        if (_atEnvelope)
        {
            _atEnvelope = false;
            RecordFormat.SkipEnvelope(ref _reader);
        }

        if (_reader.AtEnd)
        {
            return false;
        }

        (Status, Delays) = (null, null);
        Kind = (RecordItem)_reader.Byte();
        Read();
        return !Failed;
    }

    /// <summary>The envelope, at <see cref="RecordItem.Envelope"/>, once.</summary>
    public Envelope Envelope(string queueId)
    {
        _atEnvelope = false;
        return RecordFormat.ReadEnvelope(ref _reader, queueId, Summary);
    }

    private void Read()
    {
        switch (Kind)
        {
            case RecordItem.Summary:
                Summary = RecordFormat.ReadSummary(ref _reader);
                break;
            case RecordItem.Envelope:
                _atEnvelope = true;
                break;
            case RecordItem.FileContent:
                _reader.Number();
                _reader.Number();
                break;
            case RecordItem.Span:
                RecordFormat.ReadSpan(ref _reader);
                break;
            case RecordItem.Done:
                RecordFormat.ReadPositions(ref _reader);
                break;
            case RecordItem.Expanded:
                (_, int firstIndex, EnvelopeRecipient[] into) = RecordFormat.ReadExpanded(ref _reader);
                Expanded = (firstIndex, into);
                break;
            case RecordItem.Deferred:
                Delays = RecordFormat.ReadDeferred(ref _reader).Delays;
                break;
            case RecordItem.Status:
                Status = RecordFormat.ReadStatus(ref _reader);
                Delays = Status.Delays;
                break;
            case RecordItem.Expire:
                _reader.Flag();
                break;
            case RecordItem.Hold or RecordItem.Release:
                break;
            case RecordItem.InlineContent:
                _reader = default;
                break;
            default:
                _unknown = true;
                break;
        }
    }
}
