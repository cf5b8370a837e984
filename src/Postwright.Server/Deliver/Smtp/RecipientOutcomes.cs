namespace Postwright.Server.Deliver.Smtp;

/// <summary>
/// The results of one delivery as they come in. A temporary failure is only kept until another exchanger does better;
/// a success or a permanent failure stands.
/// </summary>
internal sealed class RecipientOutcomes(DeliveryRequest request)
{
    private readonly RecipientResult?[] _results = new RecipientResult?[request.Recipients.Count];
    private readonly bool[] _decided = new bool[request.Recipients.Count];

    /// <summary>Positions in the request that another exchanger may still be tried for.</summary>
    public List<int> Open { get; } = [.. Enumerable.Range(0, request.Recipients.Count)];

    /// <summary>Settles a recipient for good.</summary>
    public void Decide(int position, RecipientResult result)
    {
        _results[position] = result;
        _decided[position] = true;
    }

    /// <summary>Notes why a recipient could not be served by this exchanger.</summary>
    public void Delay(int position, RecipientResult result)
    {
        if (!_decided[position])
        {
            _results[position] = result;
        }
    }

    /// <summary>Takes the settled ones out of <see cref="Open"/>; while others stay there, whoever asked is told of them.</summary>
    public void Sweep()
    {
        RecipientResult[] settled = request.Decided is null ? [] : [.. Open.Where(position => _decided[position]).Select(position => _results[position]!)];
        Open.RemoveAll(position => _decided[position]);
        if (settled.Length > 0 && Open.Count > 0)
        {
            request.Decided!(settled);
        }
    }

    /// <summary>The index in the envelope of a position in the request.</summary>
    public int IndexOf(int position) => request.Recipients[position].Index;

    /// <summary>One result per recipient.</summary>
    public IReadOnlyList<RecipientResult> ToResults()
    {
        RecipientResult[] all = new RecipientResult[_results.Length];
        for (int i = 0; i < all.Length; i++)
        {
            all[i] = _results[i] ?? new RecipientResult(IndexOf(i), DeliveryStatus.Deferred, "4.3.0", "delivery was interrupted", "none");
        }

        return all;
    }
}
